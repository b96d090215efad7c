package assigner

// FailGuard makes the broker's guard end as if it had broken.
func (b *Broker) FailGuard(why string) { b.gate.guard.Fail(why) }

// OnLoop runs fn on the broker's loop.
func (b *Broker) OnLoop(fn func()) { b.loop.Do(fn) }
