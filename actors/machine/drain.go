package machine

// DrainReport is the answer to the admin command drain. Asked again it tells how far the draining has come.
type DrainReport struct {
	Draining string `json:"draining"` // the worker's name, or the broker's
	Hits     int    `json:"hits"`     // that are still open
}

// drainOne makes a worker take no new hits, or with an empty name the broker itself. What is open goes on.
func (b *Broker) drainOne(name string, fx []Effect) (any, []Effect) {
	if name == "" {
		if !b.draining {
			fx = b.Drain(fx)
		}
		return DrainReport{b.cfg.Name, b.all.n}, fx
	}
	w := b.names[name]
	if w == nil || w.State == Gone {
		return fail("no worker is named %q: see `troupe worker list`", name), fx
	}
	if !w.left {
		w.left = true
		w.withdraw()
		if w.State == Serving {
			w.State = Leaving
		}
	}
	return DrainReport{w.Name, w.hits.n}, fx
}
