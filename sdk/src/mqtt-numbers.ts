import { writeToStream } from "mqtt-packet";

// MQTT.js and Aedes keep a buffer for each of the 65,536 message ids at hand: 15 MB of memory in every process, for
// numbers that frames, which go at QoS 0, do not have.
writeToStream.cacheNumbers = false;
