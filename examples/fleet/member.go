package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/troupe-mq/troupe/patterns/pool"
)

// search is what is asked.
type search struct {
	Text  string        `json:"text"`
	Pause time.Duration `json:"pause"` // between the shards, so that something may happen
}

// found is a part of an answer: one shard.
type found struct {
	Shard int `json:"shard"`
	Lines int `json:"lines"`
}

// silence is how long a member may say nothing.
const silence = time.Second

func (o options) place(name string) pool.Config {
	cfg := pool.Config{
		Pool: "fleet", Name: name, RunDir: o.directory, HostName: "host-" + string('a'+rune(max(o.member, 0)/o.perHost)), Listen: o.listen, Keys: o.keys, Silence: silence,
		Logger: slog.New(slog.DiscardHandler),
	}
	if o.peers != "" {
		cfg.Peers = strings.Split(o.peers, ",")
	}
	return cfg
}

// join is a member of the fleet.
func (o options) join(ctx context.Context) error {
	var shards [2]shard
	held := o.held(o.member)
	for i, n := range held {
		var err error
		if shards[i], err = o.load(n); err != nil {
			return err
		}
	}
	cfg := o.place(fmt.Sprint("m", o.member))
	cfg.Handler = func(ctx context.Context, q *pool.Query) ([]byte, error) {
		var s search
		if err := json.Unmarshal(q.Body(), &s); err != nil {
			return nil, fmt.Errorf("the question cannot be read: %w", err)
		}
		for i := range shards {
			part, err := json.Marshal(found{held[i], shards[i].count(s.Text)})
			if err != nil || i == 1 {
				return part, err
			}
			q.Send(part)
			select {
			case <-time.After(s.Pause):
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		return nil, nil
	}
	m, err := pool.Join(ctx, cfg)
	if err != nil {
		return err
	}
	select {
	case <-m.Done():
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(m.Err(), m.Close(end))
}
