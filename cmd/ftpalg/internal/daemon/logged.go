package daemon

import (
	"time"

	"github.com/ftpalg/ftpalg/alg"
	"github.com/ftpalg/ftpalg/nft"
	"github.com/ftpalg/ftpalg/nft/queue"
)

// openLog listens to what the table tells of packets that nearly had a pinhole, or that FTPS
// ranges admitted. Everything else works without.
func (d *daemon) openLog() {
	packets, err := queue.OpenLog(d.config.Table.Queue)
	if err != nil {
		d.log.Warn("data connections that nearly had a pinhole will not be told of", "error", err)
		return
	}
	d.packets = packets
	d.later(packets.Close)
}

// logged tells of a packet that the table tells of. What nearly had a pinhole the worker
// knows that has the session.
func (d *daemon) logged(e queue.LogEntry) {
	from, to, ok := alg.Ends(e.Packet)
	if !ok {
		return
	}
	now := time.Now()
	switch e.Prefix {
	case nft.LogFTPS, nft.LogFTPSFull: // its session may have ended already
		d.events.sink(alg.Encrypted(now, from, to, e.Prefix == nft.LogFTPS))
	case nft.LogMissed:
		for _, w := range d.workers {
			w.tryAsk(func() { w.alg.Missed(now, from, to) }) // they may come faster than they can be told: some are not
		}
	}
}
