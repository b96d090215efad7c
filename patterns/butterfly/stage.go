package butterfly

import (
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/troupe-mq/troupe/bridge/wire"
)

// stage is a stage at run time.
type stage struct {
	Stage
	name     string
	stats    stats
	sessions *sessions
}

func newStage(name string, s Stage) *stage {
	def(&s.Service, name)
	return &stage{Stage: s, name: name, sessions: newSessions(s.Service, s.Affinity)}
}

// key returns the request's key at a stage, empty where it has none.
func (x *exchange) key(s *stage) (string, *Problem) {
	a := s.Affinity
	if !a.is() {
		return "", nil
	}
	key := ""
	if a.Header != "" {
		key = x.in.Header.Get(a.Header)
	}
	if key == "" && a.Query != "" {
		key = x.in.URL.Query().Get(a.Query)
	}
	if key == "" && a.Cookie != "" {
		key = x.cookie(a.Cookie)
	}
	if len(key) > wire.MaxLabel {
		return "", &Problem{Status: http.StatusBadRequest, Stage: s.name, Detail: fmt.Sprintf("the key of the session has %d bytes: at most %d are possible", len(key), wire.MaxLabel)}
	}
	return key, nil
}

// cookie returns the value of a cookie. A client that has none is given one.
func (x *exchange) cookie(name string) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c, err := x.in.Cookie(name); err == nil && c.Value != "" {
		return c.Value
	}
	for _, c := range x.cookies {
		if c.Name == name {
			return c.Value
		}
	}
	c := &http.Cookie{Name: name, Value: rand.Text(), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: x.in.TLS != nil}
	x.cookies = append(x.cookies, c)
	return c.Value
}
