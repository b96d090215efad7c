package wire

// MaxMoved is how many other brokers MOVED may name.
const MaxMoved = 16

// MovedInfo is the JSON frame of MOVED.
type MovedInfo struct {
	To []string `json:"to"` // endpoints of other brokers, for peers of this kind
}

// ParseMoved reads the JSON frame of MOVED. The error is a *BadMessage.
func ParseMoved(b []byte) (MovedInfo, error) {
	var m MovedInfo
	if err := parseJSON(Moved, b, &m); err != nil {
		return m, err
	}
	return m, m.check()
}

func (m *MovedInfo) check() error {
	if len(m.To) == 0 || len(m.To) > MaxMoved {
		return bad(BadFrame, "MOVED: to has %d endpoints: from 1 to %d are possible", len(m.To), MaxMoved)
	}
	for _, to := range m.To {
		if to == "" || len(to) > MaxEndpoint {
			return bad(BadFrame, "MOVED: an endpoint in to has %d bytes: from 1 to %d are possible", len(to), MaxEndpoint)
		}
	}
	return nil
}

// CheckMoved judges endpoints that MOVED is to name. The error is a *BadMessage.
func CheckMoved(to []string) error {
	m := MovedInfo{to}
	return m.check()
}
