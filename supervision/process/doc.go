// Package process runs programs as children that cannot outlive their parent, freezes them, and ends them by their own handle, never by name: for hosts that keep
// other programs, for demonstrations, and for tests of what happens when a process stands still or is gone.
//
// A child is tied to its parent by PR_SET_PDEATHSIG (prctl(2)), which strikes when the thread that started it ends; each child has a goroutine that holds its
// thread for as long as the child lives. Signals go through os.Process, which holds a pidfd where the kernel has them (pidfd_open(2), Linux 5.3): the
// number of a process that has ended may be another's, its handle is not.
package process
