package pubsub

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// overrun publishes more than the subscriber's queue holds, before anything is received.
func overrun(t *testing.T, p *Publisher, s *Subscriber, n int) {
	t.Helper()
	for i := range n {
		require.NoError(t, p.Publish("t", fmt.Append(nil, i+1)))
	}
	require.NoError(t, s.Subscribe(within(t), "fence")) // its answer follows all of them
}

func TestGapIsToldInTheNextUpdate(t *testing.T) {
	p := publisher(t, PublisherConfig{})
	s := subscriber(t, SubscriberConfig{Queue: 5, Name: "small"}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	overrun(t, p, s, 100)
	for i := range 5 {
		require.EqualValues(t, i+1, receive(t, s).Seq)
	}
	require.NoError(t, p.Publish("t", []byte("after")))
	m := receive(t, s)
	require.EqualValues(t, 101, m.Seq)
	require.EqualValues(t, 95, m.Missed)
	require.EqualValues(t, 95, s.Stats().Missed)
	require.EqualValues(t, 95, s.Stats().Overflow)
	eventually(t, func() bool {
		st := p.Stats()
		return len(st.Slow) == 1 && st.Slow[0].Lost > 0 && st.Slow[0].Name == "small"
	},
		"the publisher knows who has lost something")
}

func TestGapIsAnError(t *testing.T) {
	p := publisher(t, PublisherConfig{})
	s := subscriber(t, SubscriberConfig{Queue: 5, Gap: Fail}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	overrun(t, p, s, 10)
	for range 5 {
		receive(t, s)
	}
	require.NoError(t, p.Publish("t"))
	_, err := s.Receive(within(t))
	require.EqualValues(t, 5, is(t, err, ErrGap).Missed)
	require.EqualValues(t, 11, receive(t, s).Seq, "it goes on")
}

func TestGapIsFilledFromTheHistory(t *testing.T) {
	for name, at := range transports(t) {
		t.Run(name, func(t *testing.T) {
			p := publisher(t, PublisherConfig{Bind: []string{at}, History: 1000})
			s := subscriber(t, SubscriberConfig{Queue: 50, Gap: CatchUp}, p.Addrs()...)
			require.NoError(t, s.Subscribe(within(t), "t"))
			overrun(t, p, s, 90)
			for i := 1; i <= 50; i++ {
				require.EqualValues(t, i, receive(t, s).Seq)
			}
			require.NoError(t, p.Publish("t", []byte("91")))
			for i := 51; i <= 91; i++ {
				m := receive(t, s)
				require.Equal(t, fmt.Sprint(i), m.Text())
				require.Zero(t, m.Missed)
			}
			require.EqualValues(t, 40, s.Stats().CaughtUp)
		})
	}
}

func TestHistoryIsBounded(t *testing.T) {
	p := publisher(t, PublisherConfig{History: 10})
	s := subscriber(t, SubscriberConfig{Queue: 50, Gap: CatchUp}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	overrun(t, p, s, 90)
	for range 50 {
		receive(t, s)
	}
	require.NoError(t, p.Publish("t", []byte("91")))
	m := receive(t, s)
	require.EqualValues(t, 82, m.Seq, "the history has 82 to 91")
	require.EqualValues(t, 31, m.Missed)
}

// What was published while the connection was lost is not lost with it.
func TestReconnectedSubscriberCatchesUp(t *testing.T) {
	p := publisher(t, PublisherConfig{History: 1000})
	s := subscriber(t, SubscriberConfig{Gap: CatchUp}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "t"))
	for round := range 5 {
		p.station.Do(func() {
			for _, r := range p.readers.byFD {
				_ = r.conn.Hangup()
			}
		})
		for i := range 20 {
			require.NoError(t, p.Publish("t", fmt.Append(nil, 20*round+i)))
		}
		for i := range 20 {
			m := receive(t, s)
			require.Equal(t, fmt.Sprint(20*round+i), m.Text())
			require.Zero(t, m.Missed)
		}
	}
}

// Another run of a publisher numbers anew, and is not taken for the one before.
func TestPublisherIsStartedAgain(t *testing.T) {
	at := "ipc://" + filepath.Join(t.TempDir(), "s")
	first := publisher(t, PublisherConfig{Bind: []string{at}})
	s := subscriber(t, SubscriberConfig{Gap: Fail}, at)
	require.NoError(t, s.Subscribe(within(t), "t"))
	for range 3 {
		require.NoError(t, first.Publish("t", []byte("old")))
	}
	for range 3 {
		receive(t, s)
	}
	require.NoError(t, first.Close(within(t)))
	second := publisher(t, PublisherConfig{Bind: []string{at}, LastValue: true})
	require.NoError(t, second.Publish("t", []byte("new")))
	m := receive(t, s)
	require.Equal(t, "new", m.Text())
	require.EqualValues(t, 1, m.Seq)
	require.Zero(t, m.Missed)
}

func TestLastValuesComeFirst(t *testing.T) {
	p := publisher(t, PublisherConfig{LastValue: true})
	early := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	require.NoError(t, early.SubscribePrefix(within(t), ""))
	for i := range 3 {
		require.NoError(t, p.Publish("w1", fmt.Append(nil, i)))
		require.NoError(t, p.Publish("w10", fmt.Append(nil, 10*i)))
	}
	for range 6 {
		require.False(t, receive(t, early).Last) // they have left the publisher
	}
	s := subscriber(t, SubscriberConfig{Gap: Fail}, p.Addrs()...)
	require.NoError(t, s.Subscribe(within(t), "w1"))
	require.NoError(t, p.Publish("w1", []byte("3")))
	m := receive(t, s)
	require.True(t, m.Last)
	require.Equal(t, "2", m.Text())
	require.EqualValues(t, 3, m.Seq)
	m = receive(t, s)
	require.False(t, m.Last)
	require.Equal(t, "3", m.Text())
	require.Equal(t, "3", receive(t, early).Text())
	all := subscriber(t, SubscriberConfig{}, p.Addrs()...)
	require.NoError(t, all.SubscribePrefix(within(t), ""))
	got := map[string]string{}
	for range 2 {
		m := receive(t, all)
		require.True(t, m.Last)
		got[m.Topic] = m.Text()
	}
	require.Equal(t, map[string]string{"w1": "3", "w10": "20"}, got)
}
