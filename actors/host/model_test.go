package host_test

import (
	"testing"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/troupe-mq/troupe/actors/host"
)

// model is the mailbox in the simplest form: two slices.
type model struct {
	limit, throughput int
	suspended         bool
	system, user      []any
	handled, rejected []any
}

// turn moves at most throughput messages to handled.
func (m *model) turn() {
	for range m.throughput {
		switch {
		case len(m.system) > 0:
			message := m.system[0]
			m.system = m.system[1:]
			switch message.(type) {
			case *actor.SuspendMailbox:
				m.suspended = true
			case *actor.ResumeMailbox:
				m.suspended = false
			default:
				m.handled = append(m.handled, message)
			}
		case len(m.user) > 0 && !m.suspended:
			m.handled = append(m.handled, m.user[0])
			m.user = m.user[1:]
		default:
			return
		}
	}
}

// Whatever the order of posts, suspensions and turns: the mailbox does what two slices would do.
func TestMailboxBehavesLikeTwoSlices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{limit: rapid.IntRange(1, 40).Draw(t, "limit"), throughput: rapid.IntRange(1, 20).Draw(t, "throughput")}
		d := &manual{throughput: m.throughput}
		var rejected []any
		box, engine := newBox(host.MailboxConfig{Capacity: m.limit, OnReject: func(_ *actor.PID, message any, _ error) {
			rejected = append(rejected, message)
		}}, d)
		next := 0
		postSystem := func(message any) {
			box.PostSystemMessage(message)
			m.system = append(m.system, message)
		}
		t.Repeat(map[string]func(*rapid.T){
			"user": func(t *rapid.T) {
				for range rapid.IntRange(1, 20).Draw(t, "messages") {
					next++
					box.PostUserMessage(next)
					if len(m.user) < m.limit {
						m.user = append(m.user, next)
					} else {
						m.rejected = append(m.rejected, next)
					}
				}
			},
			"system":  func(*rapid.T) { next++; postSystem(next) },
			"suspend": func(*rapid.T) { postSystem(&actor.SuspendMailbox{}) },
			"resume":  func(*rapid.T) { postSystem(&actor.ResumeMailbox{}) },
			"deliver": func(t *rapid.T) {
				next++
				idle := len(m.system) == 0 && len(m.user) == 0 && !m.suspended
				require.Equal(t, idle, box.Deliver(d, next))
				if idle {
					m.handled = append(m.handled, next)
				}
			},
			"turn": func(*rapid.T) {
				d.step()
				m.turn()
			},
			"": func(t *rapid.T) {
				require.Equal(t, m.handled, engine.got)
				require.Equal(t, m.rejected, rejected)
				require.Equal(t, len(m.user), box.UserMessageCount())
				require.LessOrEqual(t, len(d.turns), 1, "more than one turn scheduled")
				require.Equal(t, m.suspended, box.Stats().Suspended)
			},
		})
	})
}
