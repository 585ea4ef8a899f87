// A PLC directory and a PDS with its rate limits on free ports, until standard input closes.
import { TestNetworkNoAppView } from "@atproto/dev-env";

const network = await TestNetworkNoAppView.create({ pds: { rateLimitsEnabled: true } });

// A picture that two records of one write share is moved out of its store's temporary folder by
// both at once. Their store on S3 takes it for done where the other was faster; the one on disk
// fails the write with 500, and does not where they are moved one after the other.
const disk = Object.getPrototypeOf(network.pds.ctx.blobstore("did:example:any"));
const makePermanent = disk.makePermanent;
let before = Promise.resolve();
disk.makePermanent = function (...blob) {
  const moved = before.then(() => makePermanent.apply(this, blob));
  before = moved.catch(() => {});
  return moved;
};

console.log(JSON.stringify({ pds: network.pds.url, plc: network.plc.url }));

// However the test process ends, the line to it ends too.
process.stdin.on("end", () => process.exit(0)).resume();
