package assigner

// FailGuard makes the broker's guard end as if it had broken.
func (b *Broker) FailGuard(why string) { b.gate.guard.Fail(why) }
