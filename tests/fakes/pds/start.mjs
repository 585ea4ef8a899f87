// A PLC directory and a PDS with its rate limits on free ports, until standard input closes.
import { TestNetworkNoAppView } from "@atproto/dev-env";

const network = await TestNetworkNoAppView.create({ pds: { rateLimitsEnabled: true } });
console.log(JSON.stringify({ pds: network.pds.url, plc: network.plc.url }));

// However the test process ends, the line to it ends too.
process.stdin.on("end", () => process.exit(0)).resume();
