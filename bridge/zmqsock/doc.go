// Package zmqsock is the house's only door to libzmq: contexts and options through the binding pebbe/zmq4, messages
// through a small C shim that moves a batch of multipart messages per call.
//
// A socket belongs to one goroutine at a time, which is the loop of package bridge; nothing here may be called from two
// goroutines at once, except Wake.Wake. Frames the shim hands out lie in C memory and are valid until the batch they came
// with is used again. Where the binding's layout is not the expected one (see handle), or on request, the same API
// runs on the binding's per-frame calls, at less than half the speed.
package zmqsock
