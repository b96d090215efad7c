package reqrep

// memory is the requests of Clients that are under way, and the last answers. It belongs to the server's loop.
type memory struct {
	max  int
	jobs map[[2]uint64]*job
	done [][2]uint64 // of those answered, the oldest first
}

// largest is the most bytes of an answer that is kept.
const largest = 64 << 10

func key(r *Request) [2]uint64 { return [2]uint64{r.Client, r.Number} }

func (m *memory) find(r *Request) *job { return m.jobs[key(r)] }

func (m *memory) keep(j *job) {
	if m.max == 0 || j.request.Client == 0 {
		return
	}
	if m.jobs == nil {
		m.jobs = make(map[[2]uint64]*job)
	}
	m.jobs[key(j.request)] = j
}

func (m *memory) answered(j *job) {
	k := key(j.request)
	if m.jobs[k] != j {
		return
	}
	size := 0
	for _, f := range j.answer {
		size += len(f)
	}
	if size > largest {
		delete(m.jobs, k)
		return
	}
	if m.done = append(m.done, k); len(m.done) > m.max {
		delete(m.jobs, m.done[0])
		m.done = m.done[1:]
	}
}
