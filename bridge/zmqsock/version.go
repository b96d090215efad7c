//go:build cgo

package zmqsock

import (
	"fmt"

	zmq "github.com/pebbe/zmq4"
)

// Version returns the version of the libzmq that is loaded, as 4.3.4.
func Version() string {
	major, minor, patch := zmq.Version()
	return fmt.Sprintf("%d.%d.%d", major, minor, patch)
}
