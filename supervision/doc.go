// Package supervision builds Erlang/OTP supervision trees on protoactor-go.
//
// A supervisor is an actor that starts its children in order, hears the reason
// of every end, restarts who should be restarted, and stops them in reverse
// order with a deadline each. Who does not stop in time is named and
// abandoned, so that no stop hangs. docs/supervision.md has the rules and the
// numbers; the words are those of
// https://www.erlang.org/doc/apps/stdlib/supervisor.html.
//
// Protoactor's own strategies are not used. Its supervision turns a panic into
// a message, and this package builds on that alone: a failed child is always
// stopped, and its successor has a new name and a new PID. An actor name is
// never used twice, because protoactor's PIDs carry no incarnation.
package supervision
