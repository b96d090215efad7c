//go:build cgo

package zmqsock

/*
#cgo pkg-config: libzmq
#cgo CFLAGS: -O2 -Wall
#include "shim.h"
#cgo noescape tr_recv
#cgo nocallback tr_recv
#cgo noescape tr_send
#cgo nocallback tr_send
#cgo noescape tr_send_some
#cgo nocallback tr_send_some
*/
import "C"

import (
	"errors"
	"reflect"
	"unsafe"

	zmq "github.com/pebbe/zmq4"
)

// ErrLayout says that the binding's Socket does not look as the shim needs it. Sockets then use the per-frame path.
var ErrLayout = errors.New("zmqsock: the binding's Socket has another layout than pebbe/zmq4 v1.4: the batch shim is off, per-frame calls are used")

// handle returns libzmq's handle of a socket: the first, unexported field of the binding's struct. The caller keeps the
// socket referenced, since the binding's finalizer closes the handle.
func handle(s *zmq.Socket) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(s)) }

// CheckLayout verifies by reflection that handle reads what it should.
func CheckLayout() error {
	t := reflect.TypeFor[zmq.Socket]()
	if t.Kind() != reflect.Struct || t.NumField() == 0 {
		return ErrLayout
	}
	f := t.Field(0)
	if f.Offset != 0 || f.Type.Kind() != reflect.UnsafePointer || f.Name != "soc" {
		return ErrLayout
	}
	return nil
}

var layout = CheckLayout()
