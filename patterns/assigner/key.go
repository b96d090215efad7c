package assigner

import (
	"context"
	"fmt"

	"github.com/troupe-mq/troupe/actors/access"
	"github.com/troupe-mq/troupe/bridge/wire"
	"github.com/troupe-mq/troupe/bridge/zmqsock"
)

// checkKey judges the Key of a config. The error does not show it.
func checkKey(field, key string) error {
	if key == "" {
		return nil
	}
	if _, err := access.ParseHanded(key); err != nil {
		return fmt.Errorf("assigner: %s: %w", field, err)
	}
	return nil
}

// curveTo is how a peer with this key speaks with an endpoint; nil: in the clear.
func curveTo(key, endpoint string) (*zmqsock.Curve, error) {
	if key == "" || !zmqsock.Ciphered(endpoint) {
		return nil, nil
	}
	h, err := access.ParseHanded(key)
	if err != nil {
		return nil, err
	}
	return &zmqsock.Curve{Secret: h.Secret.String(), Server: h.Broker.String()}, nil
}

// unreached is the error of a client that has waited for its broker in vain.
func (u *uplink) unreached(ctx context.Context, reason string) *Error {
	why := u.link.ep.Refusal()
	if why.Sure {
		return &Error{
			Status: wire.Refused, Outcome: NeverStarted, cause: context.Cause(ctx),
			Text: fmt.Sprintf("%s lets this client not in: %s: `troupe doctor --broker %s` says more", u.cfg.Broker, why.Text, u.cfg.Broker),
		}
	}
	if why.Text != "" {
		reason = why.Text
	}
	return &Error{
		Status: wire.BrokerGone, Outcome: NeverStarted, cause: context.Cause(ctx),
		Text: fmt.Sprintf("no broker is reached at %s (%s): is it running?", u.cfg.Broker, reason),
	}
}

// Refusal says why a broker does not let the worker in (its key is unknown, or there is none), empty if all do or are not reached at all. It is called
// after Start.
func (w *Worker) Refusal() string {
	for _, e := range w.brokers {
		if why := e.link.ep.Refusal().Text; why != "" {
			return why
		}
	}
	return ""
}
