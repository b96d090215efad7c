package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// demo is one run.
type demo struct {
	cfg     Config
	bank    *bank
	house   *house
	overlap *overlap
	tellers []*teller
	report  *Report
}

// run goes through the whole demo. The error says why it could not; broken claims are in the report.
func run(ctx context.Context, cfg Config) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "troupe-sqlite-")
	if err != nil {
		return nil, err
	}
	if cfg.Keep {
		defer say(cfg.Out, "The database file stays: %s", filepath.Join(dir, "bank.db"))
	} else {
		defer func() { _ = os.RemoveAll(dir) }() // what stays is in the folder for temporary files
	}
	start := time.Now()
	house, err := openHouse(ctx, cfg, filepath.Join(dir, "bank.db"))
	if err != nil {
		return nil, err
	}
	d := &demo{cfg: cfg, bank: generate(cfg.Seed), house: house, overlap: newOverlap(), report: &Report{Clients: cfg.Clients, Seed: cfg.Seed, Broken: []string{}}}
	err = d.rounds(ctx)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err = errors.Join(err, d.hangUp(stop), house.close(stop)); err != nil {
		return nil, err
	}
	if err = d.settle(ctx); err != nil {
		return nil, err
	}
	d.report.ElapsedMS = time.Since(start).Milliseconds()
	d.report.judge()
	d.tellEnd()
	return d.report, nil
}

// mostTime is what the demo may take once the Go worker is built. It takes some ten seconds.
const mostTime = 3 * time.Minute

// rounds opens the house, loads the bank and runs both rounds.
func (d *demo) rounds(ctx context.Context) error {
	d.tellStart()
	if err := d.house.build(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, mostTime, fmt.Errorf("the demo has not come to an end within %v", mostTime))
	defer cancel()
	victim, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	for no := range d.cfg.Clients {
		client, err := d.house.dial(ctx)
		if err != nil {
			return err
		}
		d.tellers = append(d.tellers, &teller{no: no + 1, client: client, bank: d.bank, overlap: d.overlap, log: d.logger(), rng: rand.New(rand.NewPCG(d.cfg.Seed, uint64(no+1)))})
	}
	if err := d.first(ctx, victim); err != nil {
		return err
	}
	if err := d.second(ctx); err != nil {
		return err
	}
	if err := d.blobs(ctx); err != nil {
		return err
	}
	return d.blobsApart(ctx)
}

// prepare starts the workers and writes the generated data through a hit.
func (d *demo) prepare(ctx context.Context) (victim *worker, err error) {
	if victim, err = d.house.start(ctx, "python"); err != nil {
		return nil, err
	}
	if _, err = d.house.start(ctx, "go"); err != nil {
		return nil, err
	}
	client, err := d.house.dial(ctx)
	if err != nil {
		return nil, err
	}
	session, err := openSession(ctx, client, "loader", d.overlap, d.logger())
	if err == nil {
		err = errors.Join(d.bank.load(ctx, session), session.close(ctx))
	}
	d.tellHouse()
	return victim, errors.Join(err, client.Close(ctx))
}

// hangUp closes the clients' connections.
func (d *demo) hangUp(ctx context.Context) error {
	var errs []error
	for _, t := range d.tellers {
		errs = append(errs, t.client.Close(ctx))
	}
	return errors.Join(errs...)
}
