package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEncryptedCalls runs calls with CURVE through zmq_proxy, and shows that who has no key does not get through.
func TestEncryptedCalls(t *testing.T) {
	h := testHouse(t, programProxy, programLoad, programWorker)
	for {
		found, err := curve(curveProxy512, peer).run(patient(t), h)
		if err != nil && strings.Contains(err.Error(), "was answered in the measured time") {
			continue // a short run on a busy machine
		}
		require.NoError(t, err)
		require.Positive(t, found["total"])
		break
	}
	e, err := h.newEncrypted()
	require.NoError(t, err)
	s, err := h.openBroker(patient(t), peer, []string{h.program(programProxy)}, e.proxy...)
	require.NoError(t, err)
	s.env = e.others
	require.NoError(t, s.add(patient(t), h.program(programWorker), s.at.worker, peer, "1"))
	plain, err := start(false, h.program(programLoad), s.at.client, peer)
	require.NoError(t, err)
	require.NoError(t, plain.Say("open 1"))
	s.load, err = startWith(s.env, false, h.program(programLoad), s.at.client, peer)
	require.NoError(t, err)
	require.NoError(t, s.open(patient(t), 1), "an encrypted client gets its hit beside it")
	plain.CloseInput()
	_, err = plain.line(patient(t))
	require.Error(t, err, "the plain one waited for its hit in vain")
	plain.Kill()
	require.NoError(t, s.close())
}
