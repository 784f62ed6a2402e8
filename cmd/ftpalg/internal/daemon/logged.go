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

// logged takes a packet that the table tells of to the workers: the one that has the session
// knows what it means.
func (d *daemon) logged(e queue.LogEntry) {
	from, to, ok := alg.Ends(e.Packet)
	if !ok {
		return
	}
	now := time.Now()
	for _, w := range d.workers {
		tell := func() {
			switch e.Prefix {
			case nft.LogMissed:
				w.alg.Missed(now, from, to)
			case nft.LogFTPS:
				w.alg.Encrypted(now, from, to, true)
			case nft.LogFTPSFull:
				w.alg.Encrypted(now, from, to, false)
			}
		}
		select {
		case w.asked <- tell:
		default: // they come faster than they can be told: some are not
		}
	}
}
