package butterfly

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Serve serves HTTP/1.0, 1.1 and, on listeners of package tls, 2 on all the listeners, which it closes. When ctx ends it takes no new connections, says on Readyz that it
// is about to stop, lets requests end for Config.Drain, cancels those that have not, and closes the front. It returns nil then.
func (f *Front) Serve(ctx context.Context, listeners ...net.Listener) error {
	s := &http.Server{
		Handler: f, MaxHeaderBytes: f.cfg.MaxHeader, ReadHeaderTimeout: f.cfg.ReadTimeout, IdleTimeout: f.cfg.IdleTimeout,
		ErrorLog: slog.NewLogLogger(f.cfg.Logger.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, len(listeners))
	for _, l := range listeners {
		go func() { ended <- s.Serve(l) }()
	}
	var failed error
	left := len(listeners)
	select {
	case <-ctx.Done():
	case failed = <-ended:
		left--
	}
	f.draining.Store(true)
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), f.cfg.Drain)
	defer cancel()
	if err := s.Shutdown(patience); err != nil {
		f.cancel()
		last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer stop()
		if s.Shutdown(last) != nil {
			_ = s.Close()
		}
	}
	for range left {
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			failed = errors.Join(failed, err)
		}
	}
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer stop()
	return errors.Join(failed, f.Close(end))
}

// lastWords is how long requests that were cancelled have for telling their clients so.
const lastWords = 2 * time.Second
