package bridge_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// plainMute is a DEALER over a bare TCP connection (ZMTP 3.0, RFC 23) that does only what it is told to: it answers no heartbeat, as a stopped process does not.
type plainMute struct{ conn net.Conn }

func dialPlainMute(t *testing.T, addr, identity string) *plainMute {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(addr, "tcp://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(plainPatience)))
	greeting := make([]byte, 64)
	copy(greeting, "\xff\x00\x00\x00\x00\x00\x00\x00\x00\x7f\x03\x00NULL")
	_, err = conn.Write(greeting)
	require.NoError(t, err)
	_, err = io.ReadFull(conn, make([]byte, 64))
	require.NoError(t, err)
	m := &plainMute{conn}
	var ready bytes.Buffer
	ready.WriteString("\x05READY")
	for _, p := range [][2]string{{"Socket-Type", "DEALER"}, {"Identity", identity}} {
		ready.WriteByte(byte(len(p[0])))
		ready.WriteString(p[0])
		_ = binary.Write(&ready, binary.BigEndian, uint32(len(p[1])))
		ready.WriteString(p[1])
	}
	m.frame(t, 4, ready.Bytes())
	require.Contains(t, m.hear(t), "READY")
	return m
}

// say sends one message.
func (m *plainMute) say(t *testing.T, frames ...string) {
	t.Helper()
	for i, f := range frames {
		more := byte(1)
		if i == len(frames)-1 {
			more = 0
		}
		m.frame(t, more, []byte(f))
	}
}

func (m *plainMute) frame(t *testing.T, flags byte, body []byte) {
	t.Helper()
	_, err := m.conn.Write(append([]byte{flags, byte(len(body))}, body...))
	require.NoError(t, err)
}

// ping sends a heartbeat that promises the next one within so many tenths of a second; zero promises nothing.
func (m *plainMute) ping(t *testing.T, ttl uint16) {
	t.Helper()
	m.frame(t, 4, binary.BigEndian.AppendUint16([]byte("\x04PING"), ttl))
}

// hear reads one short frame.
func (m *plainMute) hear(t *testing.T) string {
	t.Helper()
	var head [2]byte
	_, err := io.ReadFull(m.conn, head[:])
	require.NoError(t, err)
	body := make([]byte, head[1])
	_, err = io.ReadFull(m.conn, body)
	require.NoError(t, err)
	return string(body)
}

// ended waits until the other side has closed the connection; nothing but answers to heartbeats may come before.
func (m *plainMute) ended(t *testing.T) {
	t.Helper()
	rest, err := io.ReadAll(m.conn)
	require.NoError(t, err)
	require.Empty(t, strings.ReplaceAll(string(rest), "\x04\x05\x04PONG", ""))
}

// reset breaks the connection as a killed process does.
func (m *plainMute) reset(t *testing.T) {
	t.Helper()
	require.NoError(t, plainAs[*net.TCPConn](t, m.conn).SetLinger(0))
	require.NoError(t, m.conn.Close())
}
