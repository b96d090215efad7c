package main

import "context"

// settle adds up what the clients have, and compares the file with it. Nobody has it open any more.
func (d *demo) settle(ctx context.Context) error {
	total := &d.report.Totals
	total.Meant = 2 * d.cfg.Clients * d.cfg.Transactions
	var committed []payment
	for _, t := range d.tellers {
		committed = append(committed, t.committed...)
		total.Audits += t.audits
		total.Regrets += t.regrets
		total.Overdrawn += t.overdrawn
		total.Repeats += t.repeats
	}
	total.Transfers = len(committed)
	for _, h := range d.report.Hits {
		total.Hits++
		total.Calls += h.Calls
		total.Replies += h.Replies
		total.Same += h.Same
	}
	d.countWorkers()
	var err error
	d.report.Tables, err = d.house.compare(ctx, d.bank.dump(committed))
	return err
}

func (d *demo) countWorkers() {
	most := d.overlap.peak()
	for _, p := range d.house.all() {
		row := WorkerRow{Lang: p.lang, Process: p.PID(), MaxOpen: most[p.PID()], Killed: p.killed}
		for _, h := range d.report.Hits {
			if h.PID == p.PID() {
				row.Worker = h.Worker
				row.Hits++
			}
		}
		d.report.Workers = append(d.report.Workers, row)
	}
}
