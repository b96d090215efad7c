// Package keeper decides about one child process: whether it is started again when it has ended, and when; whether it stands still (FROZEN) or its loop
// does not come round (STUCK), and has to be ended; and when that was too often. It is pure: its host, package process, starts, signals and looks.
//
// The rules are those of Erlang/OTP's supervisor for a single child (package restart); what it knows of a living child are two things. The kernel says
// whether its threads are stopped, which needs nothing of the child. And a child may give a pulse, by the messages of systemd's sd_notify(3); from the first
// one on it is held to it.
package keeper
