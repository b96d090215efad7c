// Package keys tests brokers with keys from outside: foreign peers with no key, wrong ones and right ones, revocation, and the way between two hosts.
package keys
