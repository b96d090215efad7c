package host

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"
)

// Box is the mailbox of one actor: two queues behind one mutex, system messages first, each queue in order of arrival.
// It implements actor.Mailbox. All methods may be called from any goroutine.
//
// Messages that arrive before the engine has called Start wait, and are handled after the actor's Started message.
// The dispatcher must not run the function inside Schedule unless it can bear the recursion: a turn that used up its
// throughput schedules the next one.
//
// An actor that is stopping and waits for its children still handles user messages, as in the engine; once it has
// stopped, waiting and later ones are rejected with ErrStopped.
type Box struct {
	mu         sync.Mutex
	cfg        *MailboxConfig // shared by all boxes of a producer
	invoker    actor.MessageInvoker
	dispatcher actor.Dispatcher
	turnFunc   func() // turn as a function value, made once: scheduling allocates nothing
	process    *actor.ActorProcess

	system queue
	user   queue

	current  any   // the message being handled, when there is a clock
	since    int64 // cfg.Clock when current was taken
	handled  uint64
	rejected uint64

	phase     phase
	suspended bool
	closed    bool // the actor has stopped: no user message will be handled any more
	stopping  bool // owned by the turn: a Stop message has been handed to the engine
}

// phase says who will look at the queues next.
type phase uint8

const (
	dormant   phase = iota // not started: nobody, messages wait
	idle                   // nobody, the next runnable message schedules a turn
	scheduled              // a turn is waiting or running
)

var _ actor.Mailbox = (*Box)(nil)

// Mailbox returns a producer for actor.WithMailbox. It panics when cfg does not pass Validate.
func Mailbox(cfg MailboxConfig) actor.MailboxProducer {
	shared := checked(cfg)
	return func() actor.Mailbox { return &Box{cfg: shared} }
}

// NewBox returns one mailbox, for an owner that wants to keep it (TryPost, Stats). It serves a single actor: give
// Producer to the props of exactly one spawn. It panics when cfg does not pass Validate.
func NewBox(cfg MailboxConfig) *Box { return &Box{cfg: checked(cfg)} }

// Producer returns a producer that hands out this very box.
func (b *Box) Producer() actor.MailboxProducer {
	return func() actor.Mailbox { return b }
}

func checked(cfg MailboxConfig) *MailboxConfig {
	if err := cfg.Validate(); err != nil {
		panic(err)
	}
	cfg = cfg.withDefaults()
	return &cfg
}

// RegisterHandlers is called by the engine, once, before Start.
func (b *Box) RegisterHandlers(invoker actor.MessageInvoker, dispatcher actor.Dispatcher) {
	var process *actor.ActorProcess
	if who, ok := invoker.(resident); ok {
		registered, _ := who.ActorSystem().ProcessRegistry.GetLocal(who.Self().Id)
		process, _ = registered.(*actor.ActorProcess)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.invoker, b.dispatcher, b.process = invoker, dispatcher, process
	b.turnFunc = b.turn
}

// Process returns the process of the mailbox's actor, nil before the engine has registered it. It is for the actor itself: nobody else knows whether it lives.
func (b *Box) Process() *actor.ActorProcess { return b.process }

// Start is called by the engine after it has posted the Started message; from here on messages are handled.
func (b *Box) Start() {
	b.mu.Lock()
	if b.phase == dormant {
		b.phase = idle
	}
	b.unlockAndWake()
}

// PostUserMessage queues a message, or rejects it when the mailbox is full or its actor has stopped. It never blocks.
// Of a MessageBatch the elements are posted and then, as the engine does, the batch itself.
func (b *Box) PostUserMessage(message any) {
	switch m := message.(type) {
	case *visit:
		m.box = b
		return
	case *actor.MessageEnvelope:
		if batch, ok := m.Message.(actor.MessageBatch); ok {
			b.postElements(batch)
		}
	case actor.MessageBatch:
		b.postElements(m)
	}
	if err := b.TryPost(message); err != nil {
		b.tell(message, err)
	}
}

func (b *Box) postElements(batch actor.MessageBatch) {
	for _, element := range batch.GetMessages() {
		b.PostUserMessage(element)
	}
}

// TryPost queues a user message as it is. When it cannot, the error says why (ErrMailboxFull, ErrStopped) and nobody
// else is told: the message is still the caller's.
func (b *Box) TryPost(message any) error {
	b.mu.Lock()
	if err := b.refusal(message); err != nil {
		b.rejected++
		b.mu.Unlock()
		return err
	}
	hold(message)
	b.user.push(message)
	b.unlockAndWake()
	return nil
}

// PostSystemMessage queues a message of the engine, ahead of all user messages and without limit.
func (b *Box) PostSystemMessage(message any) {
	b.mu.Lock()
	b.system.push(message)
	b.unlockAndWake()
}

// UserMessageCount returns the number of user messages that wait.
func (b *Box) UserMessageCount() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.user.length()
}

// unlockAndWake releases the lock and schedules a turn if there is something to do and nobody who will do it.
func (b *Box) unlockAndWake() {
	wake := b.phase == idle && b.runnable()
	if wake {
		b.phase = scheduled
	}
	b.mu.Unlock()
	if wake {
		b.dispatcher.Schedule(b.turnFunc)
	}
}

// runnable says whether a turn would find a message. A stopped actor's user messages are waiting to be rejected.
func (b *Box) runnable() bool {
	return b.system.length() > 0 || b.user.length() > 0 && (!b.suspended || b.closed)
}
