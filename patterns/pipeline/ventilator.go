package pipeline

import (
	"context"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
	"github.com/troupe-mq/troupe/patterns/pipeline/machine"
)

// Ventilator gives out the tasks of one batch after the other. All methods are safe for use from any goroutine.
type Ventilator struct {
	cfg     VentilatorConfig
	station *station.Station
	port    *station.Port

	// The loop's alone.
	table    machine.Table
	byFD     map[int]peer      // by the descriptor of its connection
	names    map[string]string // of workers, by identity
	sink     sink
	batch    *Batch
	out      *zmqsock.Out
	to       []string // identity for each message in out
	in       [][]byte
	moved    [][][]byte
	checked  time.Duration
	suspects []suspect

	mu    sync.Mutex
	fresh [][][]byte // pushed, and not yet in the table
	stats VentilatorStats
}

// sink is what is known of the sink; id is empty while there is none.
type sink struct{ id, endpoint, token string }

// VentilatorStats counts what a ventilator has done.
type VentilatorStats struct {
	Workers, Unfinished  int
	Sink                 string // its endpoint, empty while there is none
	Batches, Tasks, Done uint64 // Done: the sink has their results
	Redone, Missing, Bad uint64 // given out again; given up; messages that make no sense
}

// NewVentilator binds and runs a ventilator, until Close or the end of ctx.
func NewVentilator(ctx context.Context, cfg VentilatorConfig) (*Ventilator, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Window, 10_000)
	station.Default(&cfg.MaxBody, 1<<20)
	station.Default(&cfg.MaxTries, 3)
	station.Default(&cfg.Confirm, 5*time.Second)
	cfg.Logger = station.Logger(cfg.Logger)
	v := &Ventilator{cfg: cfg, byFD: make(map[int]peer), names: make(map[string]string), out: zmqsock.NewOut()}
	v.table = machine.Table{MaxTries: cfg.MaxTries, Lease: cfg.Lease, Confirm: cfg.Confirm}
	var err error
	v.station, err = station.New(station.Config{
		Name: "ventilator", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: v.turn, Pending: v.pending, End: v.end, Poison: cfg.Poison,
	})
	if err != nil {
		return nil, err
	}
	v.port, err = v.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.Router, MaxMsgSize: 1 << 20}, Bind: cfg.Bind, Hear: v.hear, Notice: v.notice, FDs: true,
	})
	if err != nil {
		v.station.Abandon()
		return nil, err
	}
	v.station.Run(ctx)
	return v, nil
}

// Addrs returns the endpoints bound, with the ports that were chosen.
func (v *Ventilator) Addrs() []string { return v.port.Addrs() }

// Stats returns the counters so far.
func (v *Ventilator) Stats() VentilatorStats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stats
}

// Kill tells all workers and the sink to end now, in the middle of what they do. A batch that is open ends with ErrKilled. The ventilator stays.
func (v *Ventilator) Kill(reason string) error {
	if !v.station.Do(func() {
		for id := range v.names {
			v.send(id, wordKill, []byte(reason))
		}
		if v.sink.id != "" {
			v.send(v.sink.id, wordKill, []byte(reason))
		}
		if v.batch != nil {
			v.finish(&Error{Op: "end", Kind: ErrKilled, Text: "the ventilator was told to: " + reason})
		}
	}) {
		return closedError("kill", v.station.Err())
	}
	return nil
}

// Close ends the ventilator; workers and sink wait for another one. A batch that is open ends with ErrClosed. It returns why the ventilator had ended before, if it had.
func (v *Ventilator) Close(ctx context.Context) error { return v.station.Close(ctx) }

// Done is closed when the ventilator has ended.
func (v *Ventilator) Done() <-chan struct{} { return v.station.Done() }

// send writes a message to a peer.
func (v *Ventilator) send(id, word string, frames ...[]byte) {
	v.out.Add(v.port.Sock, []byte(id), false)
	v.out.Append([]byte(word))
	for _, f := range frames {
		v.out.Append(f)
	}
	v.to = append(v.to, id)
}

func (v *Ventilator) pending() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.fresh) > 0
}

// turn gives out what there is, and sends.
func (v *Ventilator) turn(now time.Duration) (int, time.Duration) {
	v.mu.Lock()
	v.moved, v.fresh = v.fresh, v.moved[:0]
	v.mu.Unlock()
	for i, body := range v.moved {
		v.table.Add(body)
		v.moved[i] = nil
	}
	wait := v.overdue(now)
	if v.investigate() {
		wait = lookAgain
	}
	if b := v.batch; b != nil {
		for g, ok := v.table.Next(now); ok; g, ok = v.table.Next(now) {
			body, _ := g.Body.([][]byte) // as Push gave it
			v.send(g.Worker, wordTask, append([][]byte{appendEntry(nil, b.id, g.Index)}, body...)...)
		}
		v.settle()
	}
	n := v.out.Len()
	v.flush()
	v.note()
	return n, wait
}

// overdue looks for what takes too long, a few times within the shortest limit.
func (v *Ventilator) overdue(now time.Duration) time.Duration {
	every := v.cfg.Confirm / 4
	if v.cfg.Lease > 0 {
		every = min(every, v.cfg.Lease/4)
	}
	if v.table.Open() == 0 {
		return -1
	}
	if now-v.checked >= every {
		v.checked = now
		v.table.Tick(now)
	}
	return max(v.checked+every-now, 0)
}

func (v *Ventilator) flush() {
	if v.out.Send() > 0 {
		for i, id := range v.to {
			if v.out.Err(i) != nil {
				v.lose(id, "no connection has its identity any more")
			}
		}
	}
	v.out.Reset()
	v.to = v.to[:0]
}

// note makes the state visible to Stats and to Push.
func (v *Ventilator) note() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.stats.Workers, v.stats.Sink = v.table.Workers(), v.sink.endpoint
	v.stats.Unfinished = v.table.Open() + len(v.fresh)
	if b := v.batch; b != nil && v.stats.Unfinished < v.cfg.Window {
		b.room()
	}
}

func (v *Ventilator) end() {
	if v.batch != nil {
		v.finish(closedError("end", v.station.Err()))
	}
	v.out.Free()
}
