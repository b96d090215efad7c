package main

import (
	"context"
	"encoding/binary"
	"image"
	"image/color"
)

// tile is a task: a part of the picture. The reply has two bytes for each point, row by row: how many steps it stays near, in network byte order.
type tile struct {
	X     int     `json:"x"`
	Y     int     `json:"y"`
	W     int     `json:"w"`
	H     int     `json:"h"`
	Left  float64 `json:"left"`
	Top   float64 `json:"top"`
	Step  float64 `json:"step"` // between points
	Depth int     `json:"depth"`
}

// compute does a tile. Products are rounded before they are added (float64(...)), as in Python: a machine that fuses them would count differently.
func (t tile) compute(ctx context.Context) ([]byte, error) {
	counts := make([]byte, 0, 2*t.W*t.H)
	for y := t.Y; y < t.Y+t.H; y++ {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		ci := t.Top + float64(float64(y)*t.Step)
		for x := t.X; x < t.X+t.W; x++ {
			cr := t.Left + float64(float64(x)*t.Step)
			zr, zi, n := 0.0, 0.0, 0
			for n < t.Depth {
				rr, ii := float64(zr*zr), float64(zi*zi)
				if rr+ii > 4 {
					break
				}
				zi = float64(float64(2*zr)*zi) + ci
				zr = rr - ii + cr
				n++
			}
			counts = binary.BigEndian.AppendUint16(counts, uint16(n))
		}
	}
	return counts, nil
}

// tiles cuts a picture. The set is in the middle, so its tiles cost hundreds of times what those at the rim do.
func tiles(width, height, size, depth int) []tile {
	step := 3.0 / float64(width)
	var all []tile
	for y := 0; y < height; y += size {
		for x := 0; x < width; x += size {
			all = append(all, tile{x, y, min(size, width-x), min(size, height-y), -2.2, -step * float64(height) / 2, step, depth})
		}
	}
	return all
}

// paint puts a tile into the picture.
func (t tile) paint(to *image.RGBA, counts []byte) {
	for i := range t.W * t.H {
		n := int(binary.BigEndian.Uint16(counts[2*i:]))
		c := color.RGBA{A: 255}
		if n < t.Depth {
			c.R, c.G, c.B = uint8(min(255, n*9)), uint8(min(255, n*4)), uint8(min(255, 60+n*2))
		}
		to.SetRGBA(t.X+i%t.W, t.Y+i/t.W, c)
	}
}
