package reqrep

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/internal/station"
)

// Server answers requests by a handler on several goroutines. All methods are safe for use from any goroutine.
type Server struct {
	cfg     ServerConfig
	station *station.Station
	port    *station.Port
	work    context.Context // of handlers
	cancel  context.CancelFunc
	jobs    chan *job
	workers sync.WaitGroup

	// The loop's alone.
	out    *zmqsock.Out
	in     [][]byte
	memory memory

	mu       sync.Mutex
	finished []*job
	count    struct{ requests, answered, failed, busy, again, gone, bad atomic.Uint64 }
}

// unread is how many answers may wait for one peer that does not read; further ones are dropped, and counted as Gone.
const unread = 1000

// job is a request with the way back.
type job struct {
	envelope [][]byte
	request  *Request
	status   byte // 0 until it is answered
	failed   bool
	answer   [][]byte
}

// ServerStats counts what a server has done.
type ServerStats struct {
	Requests, Answered uint64
	Failed             uint64 // by an error or a panic of the handler, among Answered
	Busy               uint64 // refused, since the queue was full
	Again              uint64 // came again, and were answered from memory or with the first one
	Gone               uint64 // answers to those who had gone, or do not read
	Bad                uint64 // messages that make no sense
	Waiting            int    // for a worker
}

// NewServer binds and runs a server, until Close or the end of ctx.
func NewServer(ctx context.Context, cfg ServerConfig) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	station.Default(&cfg.Workers, 5)
	station.Default(&cfg.Queue, 1000)
	station.Default(&cfg.Remember, 1000)
	station.Default(&cfg.MaxBody, 1<<20)
	cfg.Logger = station.Logger(cfg.Logger)
	s := &Server{cfg: cfg, out: zmqsock.NewOut(), jobs: make(chan *job, cfg.Queue), memory: memory{max: max(cfg.Remember, 0)}}
	s.work, s.cancel = context.WithCancel(ctx)
	var err error
	s.station, err = station.New(station.Config{
		Name: "server", Logger: cfg.Logger, Context: cfg.Context, Access: cfg.Access, Turn: s.turn, Pending: s.pending, End: s.end, Poison: cfg.Poison,
	})
	if err != nil {
		s.cancel()
		return nil, err
	}
	s.port, err = s.station.Open(station.Spec{
		Config: zmqsock.Config{Kind: zmqsock.Router, MaxMsgSize: int64(cfg.MaxBody), SendHWM: unread}, Bind: cfg.Bind, Hear: s.hear,
	})
	if err != nil {
		s.station.Abandon()
		return nil, err
	}
	for range cfg.Workers {
		s.workers.Add(1)
		go s.worker()
	}
	s.station.Run(ctx)
	return s, nil
}

// Addrs returns the endpoints bound, with the ports that were chosen.
func (s *Server) Addrs() []string { return s.port.Addrs() }

// Stats returns the counters so far.
func (s *Server) Stats() ServerStats {
	c := &s.count
	return ServerStats{
		Requests: c.requests.Load(), Answered: c.answered.Load(), Failed: c.failed.Load(), Busy: c.busy.Load(), Again: c.again.Load(),
		Gone: c.gone.Load(), Bad: c.bad.Load(), Waiting: len(s.jobs),
	}
}

// Close ends the server: contexts of handlers end, what they answer by then is sent, requests that wait are not begun. It waits for the handlers until ctx is over.
func (s *Server) Close(ctx context.Context) error { return s.station.Close(ctx) }

// Done is closed when the server has ended, its handlers included.
func (s *Server) Done() <-chan struct{} { return s.station.Done() }

// hear takes a request.
func (s *Server) hear(in *zmqsock.In, i int) {
	s.in = in.Frames(i, s.in[:0])
	envelope, body, ok := split(s.in)
	if !ok || len(envelope) == 0 || len(body) == 0 || len(body) > maxFrames {
		s.count.bad.Add(1)
		return
	}
	j := &job{envelope: clone(envelope), request: &Request{}}
	if id := j.envelope[len(envelope)-1]; len(envelope) > 1 && isID(id) {
		j.request.Client, j.request.Number = binary.BigEndian.Uint64(id[4:]), binary.BigEndian.Uint64(id[12:])
		if old := s.memory.find(j.request); old != nil {
			s.count.again.Add(1)
			old.envelope = j.envelope // it may have another connection by now
			if old.status != 0 {
				s.write(old)
			}
			return
		}
	}
	s.count.requests.Add(1)
	j.request.Body = clone(body)
	select {
	case s.jobs <- j:
		s.memory.keep(j)
	default:
		s.count.busy.Add(1)
		j.status, j.answer = statusBusy, [][]byte{fmt.Appendf(nil, "%d requests wait already", s.cfg.Queue)}
		s.write(j)
	}
}

// write sends an answer.
func (s *Server) write(j *job) {
	n := len(j.envelope)
	s.out.Add(s.port.Sock, j.envelope[0], false)
	numbered := n > 1 && isID(j.envelope[n-1])
	if numbered {
		j.envelope[n-1][statusAt] = j.status
	}
	for _, f := range j.envelope[1:] {
		s.out.Append(f)
	}
	s.out.Append(nil)
	if !numbered && j.status != statusOK {
		s.out.Append(append([]byte("ERROR: "), j.answer[0]...))
		return
	}
	for _, f := range j.answer {
		s.out.Append(f)
	}
}

// worker works on one request after the other.
func (s *Server) worker() {
	defer s.workers.Done()
	for j := range s.jobs {
		if s.work.Err() != nil {
			continue
		}
		answer, err := s.try(j.request)
		s.mu.Lock()
		j.answer = answer
		if err != nil {
			s.count.failed.Add(1)
			j.answer = [][]byte{[]byte(err.Error())}
			j.failed = true
		}
		s.finished = append(s.finished, j)
		first := len(s.finished) == 1
		s.mu.Unlock()
		if first {
			s.station.Rouse()
		}
	}
}

// try makes a panic an error.
func (s *Server) try(r *Request) (answer [][]byte, err error) {
	ctx := s.work
	if s.cfg.Limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.cfg.Limit, fmt.Errorf("the server's limit of %v is over", s.cfg.Limit))
		defer cancel()
	}
	defer func() {
		if v := recover(); v != nil {
			s.cfg.Logger.Error("a handler has panicked", "panic", v, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler has panicked: %v", v)
		}
	}()
	answer, err = s.cfg.Handler(ctx, r)
	if err == nil && len(answer) > maxFrames {
		err = fmt.Errorf("the answer has %d frames, %d are possible", len(answer), maxFrames)
	}
	return answer, err
}

func (s *Server) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.finished) > 0
}

// turn sends what was answered.
func (s *Server) turn(time.Duration) (int, time.Duration) {
	s.mu.Lock()
	done := s.finished
	s.finished = nil
	s.mu.Unlock()
	for _, j := range done {
		j.status = statusOK
		if j.failed {
			j.status = statusErr
		}
		s.count.answered.Add(1)
		s.write(j)
		s.memory.answered(j)
	}
	n := s.out.Len()
	s.count.gone.Add(uint64(s.out.Send()))
	s.out.Reset()
	return n, -1
}

func (s *Server) end() {
	s.cancel()
	close(s.jobs)
	s.workers.Wait()
	if s.port != nil {
		s.turn(0)
	}
	s.out.Free()
}
