package report

import "github.com/ftpalg/ftpalg/cmd/ftplab/internal/story"

// topology draws the hosts, from the client to the server, and who opens what.
func topology(hosts []story.Host) figure {
	return figure{
		ID:    "topology",
		Title: "The network of the lab",
		Desc: "Client, router, gateway and server in a row. The control connection goes from the client to the server. " +
			"The data connection comes back from the server, from outside, through a hole in the gateway's firewall.",
		Wide: wideTopology(hosts), Narrow: narrowTopology(hosts),
	}
}

func wideTopology(hosts []story.Host) drawing {
	const (
		left, right  = 110, 890 // middle of the first and of the last host
		out, in      = 92, 172  // y of the two arrows
		top, names   = 24, 254
		above, below = 12, 18
	)
	d := drawing{Width: 1000, Height: 380}
	for i, h := range hosts {
		x := left + i*(right-left)/max(len(hosts)-1, 1)
		switch {
		case h.Name == "gateway":
			d.text("zone end", x-30, top+above, "inside")
			d.text("zone", x+30, top+above, "outside")
			d.wall(x-9, top, 18, in-26-top)
			d.wall(x-9, in+26, 18, names-50-in)
			d.path("rim", "M%d %dh40M%d %dh40", x-20, in-26, x-20, in+26)
		case i == 0 || i == len(hosts)-1:
			d.path("node", "M%d %dh24v%dh-24z", x-12, out-24, in-out+48)
		default:
			d.path("node hop", "M%d %dm-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0z", x, out)
			d.path("node hop", "M%d %dm-9 0a9 9 0 1 0 18 0a9 9 0 1 0 -18 0z", x, in)
		}
		d.text("host middle", x, names, h.Name)
		d.text("address middle", x, names+26, h.IPv4.String())
		d.text("address middle", x, names+26+below, h.IPv6.String())
		d.lines("about middle", x, names+78, lineHeight+1, wrap(h.About, 25))
	}
	d.arrow("control", left+12, out, right-14, out)
	d.arrow("data", right-12, in, left+14, in)
	d.text("said control", left+30, out-14, "control: client → port 21")
	d.text("said data end", right-30, in-14, "data: port 20 → client")
	return d
}

func narrowTopology(hosts []story.Host) drawing {
	const (
		out, in = 30, 66 // x of the two arrows
		top     = 24
		each    = 104
	)
	d := drawing{Width: 300, Height: each * len(hosts)}
	bottom := top + each*(len(hosts)-1)
	for i, h := range hosts {
		y := top + i*each
		switch {
		case h.Name == "gateway":
			d.wall(0, y-6, in-16, 12)
			d.wall(in+16, y-6, 14, 12)
			d.path("rim", "M%d %dv28M%d %dv28", in-16, y-14, in+16, y-14)
		case i == 0 || i == len(hosts)-1:
			d.path("node", "M%d %dh%dv20h%dz", out-14, y-10, in-out+28, out-in-28)
		default:
			d.path("node hop", "M%d %dm-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", out, y)
			d.path("node hop", "M%d %dm-7 0a7 7 0 1 0 14 0a7 7 0 1 0 -14 0z", in, y)
		}
		d.text("host", 110, y+6, h.Name)
		d.text("address", 110, y+26, h.IPv4.String())
		d.lines("about", 110, y+46, lineHeight-1, wrap(h.About, 23))
	}
	d.path("control", "M%d %dV%d", out, top+10, bottom-12)
	d.path("control head", "M%d %dl-6 -12h12z", out, bottom-12)
	d.path("data", "M%d %dV%d", in, bottom-10, top+12)
	d.path("data head", "M%d %dl-6 12m6 -12l6 12", in, top+12)
	return d
}
