package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/troupe-mq/troupe/patterns/assigner"
)

// streamed says what a call with --body or --output has moved, as -o json prints it.
type streamed struct {
	reply
	Sent     int64  `json:"sent"`
	Received int64  `json:"received"`
	Output   string `json:"output,omitempty"`
}

// streams reports whether the call's body or reply goes in parts.
func (f *callFlags) streams() bool { return f.bodyFile != "" || f.output != "" }

// checkStreams judges --body and --output.
func (f *callFlags) checkStreams(args []string) error {
	switch {
	case f.hit:
		return errors.New("--hit makes a call of every line, --body and --output move one large body: leave one of them out")
	case f.bodyFile == "-" && len(args) > 1 && args[1] == "-":
		return errors.New(`standard input is BODY ("-") and --body at once: name a file for one of them`)
	}
	return nil
}

// callStream makes one call on a hit of its own, whose body and reply may be larger than memory.
func (a *app) callStream(cmd *cobra.Command, f *callFlags, open assigner.OpenRequest, head []byte, shown *progress) error {
	in, size, err := a.bodyFrom(f.bodyFile)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := a.outputTo(f.output)
	if err != nil {
		return err
	}
	defer out.discard()
	return a.ask(cmd, &f.target, func(ctx context.Context, c *assigner.Client) error {
		hit, err := openHit(ctx, c, f.timeout, open)
		if err != nil {
			return err
		}
		if cmd.Flags().Changed("timeout") {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, f.timeout)
			defer cancel()
		}
		moved := &meter{in: in, size: size}
		stop := a.showMeter(moved)
		begun := time.Now()
		frames, err := move(ctx, hit, f, assigner.Request{Frames: [][]byte{head}, Progress: shown.report(), Idempotent: f.idempotent}, moved, out)
		shown.flush()
		stop()
		if err != nil {
			return err
		}
		s := streamed{newReply(open.Service, frames, time.Since(begun)), moved.sent.Load(), moved.received.Load(), f.output}
		s.Hit, s.Worker, s.Thread = fmt.Sprintf("%x", hit.Handle()), hit.Worker(), hit.Thread()
		end, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		return errors.Join(a.printStreamed(f, s), hit.Close(end))
	})
}

// move makes the call and takes the reply: into the file, if there is one.
func move(ctx context.Context, hit *assigner.Hit, f *callFlags, r assigner.Request, moved *meter, out *sink) ([][]byte, error) {
	if f.bodyFile != "" {
		r.Body, r.Size = moved, moved.size
	}
	if f.output == "" {
		return hit.CallWith(ctx, r)
	}
	reply, err := hit.Stream(ctx, r)
	if err != nil {
		return nil, err
	}
	defer reply.Body.Close()
	frames := reply.Frames
	if reply.Size == 0 { // it came in one piece
		for _, b := range frames {
			if _, err := moved.into(out).Write(b); err != nil {
				return nil, err
			}
		}
		frames = nil
	}
	if _, err := io.Copy(moved.into(out), reply.Body); err != nil {
		return nil, err
	}
	return frames, out.keep()
}

// printStreamed tells what has moved. What the service said beside a reply that went to --output is told, too.
func (a *app) printStreamed(f *callFlags, s streamed) error {
	if a.json() && f.output != "-" {
		return a.printJSON(s)
	}
	took := time.Duration(s.MS * float64(time.Millisecond))
	fmt.Fprintf(a.err, "sent %s, received %s in %v at worker %s%s\n", bytesOf(s.Sent), bytesOf(s.Received), took.Round(time.Millisecond), cell(s.Worker), onThread(s.Thread))
	if f.output == "" {
		return a.printReply(f.raw, s.reply)
	}
	for _, b := range s.bytes {
		if len(b) > 0 {
			fmt.Fprintf(a.err, "it says: %s\n", cell(string(b)))
		}
	}
	return nil
}

// bodyFrom opens what --body names, and returns its size, -1 where that is not known.
func (a *app) bodyFrom(path string) (io.ReadCloser, int64, error) {
	switch path {
	case "":
		return io.NopCloser(nil), 0, nil
	case "-":
		return io.NopCloser(a.in), -1, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, usage(fmt.Errorf("--body: %w", err))
	}
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, 0, errors.Join(fmt.Errorf("--body: %w", err), file.Close())
	case info.IsDir():
		return nil, 0, errors.Join(usage(fmt.Errorf("--body %s is a folder: name a file, or - for standard input", path)), file.Close())
	case !info.Mode().IsRegular():
		return file, -1, nil
	}
	return file, info.Size(), nil
}

// sink is where the reply goes. A file gets its name when all of the reply is in it.
type sink struct {
	io.Writer
	file *os.File
	name string
}

func (a *app) outputTo(path string) (*sink, error) {
	if path == "" || path == "-" {
		return &sink{Writer: a.out}, nil
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, usage(fmt.Errorf("--output %s is no ordinary file: name one, or - for standard output", path))
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".part-*")
	if err != nil {
		return nil, usage(fmt.Errorf("--output: %w", err))
	}
	return &sink{file, file, path}, nil
}

// keep gives the file its name.
func (s *sink) keep() error {
	if s.file == nil {
		return nil
	}
	if err := errors.Join(s.file.Chmod(0o644), s.file.Close()); err != nil {
		return err
	}
	err := os.Rename(s.file.Name(), s.name)
	if err == nil {
		s.file = nil
	}
	return err
}

// discard removes what is not whole.
func (s *sink) discard() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
