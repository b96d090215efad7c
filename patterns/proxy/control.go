package proxy

import (
	"encoding/json"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// The words of zmq_proxy_steerable.
const (
	wordPause      = "PAUSE"
	wordResume     = "RESUME"
	wordTerminate  = "TERMINATE"
	wordStatistics = "STATISTICS"
)

// command takes a word at the control endpoint, and answers it.
func (p *Proxy) command(in *zmqsock.In, i int) {
	frames := in.Frames(i, nil)
	answer := "OK"
	switch word := string(frames[0]); {
	case len(frames) > 1:
		answer = "ERROR: a command is one frame: PAUSE, RESUME, TERMINATE or STATISTICS"
	case word == wordPause:
		p.hold(true)
	case word == wordResume:
		p.hold(false)
	case word == wordTerminate:
		p.station.Stop()
	case word == wordStatistics:
		b, err := json.Marshal(p.Stats())
		if answer = string(b); err != nil {
			answer = "ERROR: " + err.Error()
		}
	default:
		answer = "ERROR: unknown command: use PAUSE, RESUME, TERMINATE or STATISTICS"
	}
	p.replies.Add(p.control.Sock, nil, false)
	p.replies.Append([]byte(answer))
}
