// Reads a JSON list of texts, prints what X's own library makes of each: weight, links, hashtags.
import { readFileSync } from "node:fs";
import twitter from "twitter-text";

const texts = JSON.parse(readFileSync(0, "utf8"));
const escaped = (char) => "\\u" + char.charCodeAt(0).toString(16).padStart(4, "0");
const lines = texts.map((text) => {
  const counted = {
    text,
    weight: twitter.parseTweet(text).weightedLength,
    links: twitter.extractUrls(text),
    tags: twitter.extractHashtags(text),
  };
  return JSON.stringify(counted).replace(/[^\x20-\x7e]/g, escaped);
});
process.stdout.write(`[\n${lines.join(",\n")}\n]\n`);
