package bridge

import (
	"sync"

	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// SharedContext returns the ZeroMQ context that all loops of the process share by default, which inproc endpoints need, and a function that gives it up. That is to be
// called after all sockets are closed; the last user ends the context, and waits for the sockets' linger. Calling it twice does nothing.
func SharedContext() (*zmqsock.Context, func(), error) {
	c, err := acquireContext()
	if err != nil {
		return nil, nil, err
	}
	return c, sync.OnceFunc(releaseContext), nil
}
