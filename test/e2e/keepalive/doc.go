// Package keepalive proves that nobody is waited for who is not there: clients, brokers and workers that are killed, or stand still, are noticed within the
// limits that are configured, and whoever is merely busy is not. Limits are proved by their order: a peer with a short one notices while another one with a
// long one does not.
package keepalive
