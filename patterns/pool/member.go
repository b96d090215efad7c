package pool

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
	"github.com/troupe-mq/troupe/patterns/assigner/keys"
	"github.com/troupe-mq/troupe/patterns/pool/machine"
	"github.com/troupe-mq/troupe/patterns/pool/machine/wire"
)

// Member is this process's place in a pool, or a guest's: somebody who asks and is not asked. All methods are safe for concurrent use.
type Member struct {
	cfg   Config
	me    wire.Record
	guest bool
	dir   *rundir
	file  *os.File // locked for as long as we are a member
	began time.Time

	ctx  *zmqsock.Context
	wake *zmqsock.Wake
	loop *loop

	mu     sync.Mutex
	todo   []func()
	asleep bool // the loop has found nothing to do, and has to be woken
	closed bool
	ready  chan struct{} // closed when the node has been ready once
	done   chan struct{} // the loop has ended
	err    error         // why, after done

	handlers sync.WaitGroup
	leave    context.CancelFunc // ends the handlers
	life     context.Context
}

// Join makes this process a member of a pool and returns when it can ask and be asked: when the host has a master, which it may be itself. The member must be closed. Errors are
// ErrRunDir, ErrTooLong, ErrInsecure, a *zmqsock.EndpointError, or the context's.
func Join(ctx context.Context, cfg Config) (*Member, error) { return open(ctx, cfg, false) }

// Dial returns a guest of a pool: it asks, and is neither elected nor asked. The error is ErrNobody where no master is on this host.
func Dial(ctx context.Context, cfg Config) (*Member, error) { return open(ctx, cfg, true) }

func open(ctx context.Context, cfg Config, guest bool) (*Member, error) {
	m, err := begin(cfg, guest)
	if err != nil {
		return nil, err
	}
	select {
	case <-m.ready:
		return m, nil
	case <-m.done:
		return nil, m.err
	case <-ctx.Done():
	}
	err = context.Cause(ctx)
	if guest && len(m.dir.living()) == 0 {
		err = fmt.Errorf("pool: %s in %s: %w (%w): `troupe pool join %s` makes a member", m.cfg.Pool, m.cfg.RunDir, ErrNobody, err, m.cfg.Pool)
	}
	_ = m.Close(context.WithoutCancel(ctx))
	return nil, err
}

// begin starts a member or guest, which may not be ready yet.
func begin(cfg Config, guest bool) (*Member, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, err := openRundir(cfg.RunDir, cfg.Pool)
	if err != nil {
		return nil, err
	}
	boot := bootID()
	host, err := dir.host(boot)
	if err != nil {
		return nil, err
	}
	m := &Member{cfg: cfg, guest: guest, dir: dir, began: time.Now(), ready: make(chan struct{}), done: make(chan struct{})}
	id := wire.MemberID(randomID())
	m.me = wire.Record{
		ID: id, Host: host, HostName: cfg.HostName, Name: cfg.Name, PID: os.Getpid(), Start: startOf(os.Getpid()), Space: spaceOf(), Boot: boot, Socket: dir.socket(id),
		Labels: cfg.Labels, NoKill: cfg.NoKill, Listen: cfg.Listen,
	}
	if err := m.start(); err != nil {
		return nil, err
	}
	return m, nil
}

// start binds the own socket, registers, and starts the loop.
func (m *Member) start() (err error) {
	m.life, m.leave = context.WithCancel(context.Background())
	if m.ctx, err = zmqsock.NewContext(); err != nil {
		return err
	}
	if m.wake, err = zmqsock.NewWake(); err == nil {
		m.loop, err = newLoop(m)
	}
	if err == nil && !m.guest {
		err = m.loop.bindOwn()
	}
	if err == nil && !m.guest {
		m.file, err = m.dir.put(m.dir.member(m.me.ID), m.me)
	}
	if err != nil {
		m.release()
		return err
	}
	go m.loop.serve()
	return nil
}

// release gives back what start has taken; the loop does not run.
func (m *Member) release() {
	m.leave()
	if m.loop != nil {
		m.loop.close()
	}
	if m.file != nil {
		_ = os.Remove(m.file.Name())
		_ = os.Remove(m.dir.member(m.me.ID))
		_ = m.file.Close()
	}
	if m.wake != nil {
		_ = m.wake.Close()
	}
	_ = m.ctx.Term()
}

// do lets the loop do something; false if it has ended.
func (m *Member) do(f func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return false
	}
	m.todo = append(m.todo, f)
	if m.asleep {
		m.asleep = false
		m.wake.Wake()
	}
	return true
}

// rest reports whether there is nothing to do; who finds something for the loop from then on wakes it.
func (m *Member) rest() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asleep = len(m.todo) == 0
	return m.asleep
}

// take returns what the loop is to do.
func (m *Member) take() []func() {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.todo
	m.todo, m.asleep = nil, false
	return all
}

// call lets the loop do something and waits for it.
func (m *Member) call(ctx context.Context, f func()) error {
	did := make(chan struct{})
	if !m.do(func() { f(); close(did) }) {
		return m.gone()
	}
	select {
	case <-did:
		return nil
	case <-m.done:
		return m.gone()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (m *Member) gone() error {
	<-m.done
	if m.err != nil {
		return fmt.Errorf("pool: %w: %w", ErrClosed, m.err)
	}
	return fmt.Errorf("pool: %w", ErrClosed)
}

// ID returns the member's id, 16 hex digits.
func (m *Member) ID() string { return m.me.ID.String() }

// Done is closed when the member is out of the pool: by Close, or because of Err.
func (m *Member) Done() <-chan struct{} { return m.done }

// Err returns why the member is out of the pool, nil after Close. It is valid once Done is closed.
func (m *Member) Err() error { return m.err }

// Close leaves the pool: the others are told, handlers have their context cancelled and are waited for, until ctx ends. What this member has asked ends early. Closing twice does nothing.
func (m *Member) Close(ctx context.Context) error {
	m.do(m.loop.depart)
	m.leave()
	<-m.done
	waited := make(chan struct{})
	go func() {
		m.handlers.Wait()
		close(waited)
	}()
	select {
	case <-waited:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pool: a handler does not end: %w", context.Cause(ctx))
	}
}

// node returns the configuration of the machine.
func (m *Member) node() machine.Config {
	s := m.cfg.Silence
	return machine.Config{
		Pool: m.cfg.Pool, Me: m.me, Guest: m.guest, Silence: s, Beat: s / 10, Window: max(s/12, 50*time.Millisecond), Reach: 3*s + time.Second, Forget: forget,
		Redrive: max(s/10, 100*time.Millisecond), MaxBytes: m.cfg.MaxKept, MaxKnown: 1 << 16, MaxWhys: 256, Rand: randomBelow,
	}
}

// forget is how long a host out of reach stays in ledgers.
const forget = 10 * time.Minute

// curve returns how connections to other hosts are encrypted: all hosts of a pool share one key pair.
func (m *Member) curve() (secret, public string, err error) {
	if m.cfg.Keys == "" {
		return "", "", nil
	}
	d := keys.Dir{Path: m.cfg.Keys}
	if secret, err = d.Secret(); err != nil {
		return "", "", err
	}
	public, err = zmqsock.PublicKey(secret)
	return secret, public, err
}
