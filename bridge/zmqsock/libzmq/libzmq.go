// Package libzmq fails the build with a remedy where libzmq's header is missing. The binding fails there too, in
// pkg-config's words, which name none; a package without dependencies is built all the same, so this line is printed.
package libzmq

/*
#if !__has_include(<zmq.h>)
#error "libzmq is missing; run: sudo apt-get install -y libzmq3-dev pkg-config (or: make setup)"
#endif
*/
import "C"
