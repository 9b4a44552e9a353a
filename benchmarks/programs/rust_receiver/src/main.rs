// SPDX-License-Identifier: Apache-2.0
//! Receives RTP at a UDP port and puts each packet into webrtc-rs's sample builder. Prints what it did when it has heard nothing for 3 s.
use bytes::Bytes;
use rtp::packet::Packet;
use rtp::packetizer::Depacketizer;
use std::net::UdpSocket;
use std::time::Duration;
use webrtc_media::io::sample_builder::SampleBuilder;
use webrtc_util::marshal::Unmarshal;

struct Plain;

impl Depacketizer for Plain {
    fn depacketize(&mut self, b: &Bytes) -> Result<Bytes, rtp::Error> {
        Ok(b.clone())
    }
    fn is_partition_head(&self, _payload: &Bytes) -> bool {
        true
    }
    fn is_partition_tail(&self, _marker: bool, _payload: &Bytes) -> bool {
        true
    }
}

fn main() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("port {}", socket.local_addr().unwrap().port());
    let mut builder = SampleBuilder::new(5, Plain, 8000);
    let (mut pushed, mut bytes, mut samples) = (0u64, 0u64, 0u64);
    let mut buffer = [0u8; 2048];
    loop {
        match socket.recv(&mut buffer) {
            Ok(size) => {
                let mut data = Bytes::copy_from_slice(&buffer[..size]);
                let packet = Packet::unmarshal(&mut data).unwrap();
                pushed += 1;
                bytes += packet.payload.len() as u64;
                builder.push(packet);
                while builder.pop().is_some() {
                    samples += 1;
                }
                socket.set_read_timeout(Some(Duration::from_secs(3))).unwrap();
            }
            Err(_) => break,
        }
    }
    println!("pushed {pushed} bytes {bytes} samples {samples}");
    std::io::Read::read(&mut std::io::stdin(), &mut buffer).unwrap();
}
