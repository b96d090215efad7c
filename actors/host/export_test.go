package host

// StartPinnedHere is StartPinned with its goroutine's first steps on the calling thread. It returns only if that is
// the main thread, which the goroutine leaves for another one.
func StartPinnedHere(cfg PinnedConfig) *Pinned {
	p := makePinned(cfg)
	p.main()
	return p
}
