// Package notify speaks the protocol of systemd's sd_notify(3) on both sides: a program tells whoever has started it that it is ready, that it is about to end,
// and, by WATCHDOG=1, that it comes round. That is the supervisor of package process, or systemd itself (Type=notify, WatchdogSec=). Each message is a
// datagram of lines NAME=VALUE to the socket that NOTIFY_SOCKET names; WATCHDOG_USEC says within what time the next WATCHDOG=1 is expected. Nothing here
// ever waits for the other side: a word that it cannot take now is lost.
package notify
