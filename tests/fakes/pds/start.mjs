// A PLC directory and a PDS on free ports of this machine, until standard input closes.
import { TestNetworkNoAppView } from "@atproto/dev-env";

const network = await TestNetworkNoAppView.create({});
console.log(JSON.stringify({ pds: network.pds.url, plc: network.plc.url }));

// However the test process ends, the line to it ends too.
process.stdin.on("end", () => process.exit(0)).resume();
