// Package why holds why-records: what a negative verdict rests on, what was done about it, and which setting would have changed it. The same record
// reaches the command line, the log, the client's error and Python's exception. It is pure: nothing here knows a clock, a lock or a socket.
package why
