//! A receiver that reads every request to its end and answers 200 at once: it costs next to nothing, so that what is
//! measured is the sender.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

/// Serves for ever, and prints its port.
pub fn serve(address: &str) -> ! {
    let listener = TcpListener::bind(address).unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        if let Ok((stream, _)) = listener.accept() {
            std::thread::spawn(move || drop(talk(stream)));
        }
    }
}

fn talk(stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::with_capacity(256 * 1024, stream.try_clone()?);
    let mut writer = stream;
    let mut scratch = vec![0; 256 * 1024];
    loop {
        let (mut length, mut chunked, mut line) = (0usize, false, String::new());
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
            if header.starts_with("expect:") {
                writer.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            }
        }
        if chunked {
            skip_chunks(&mut reader, &mut scratch)?;
        } else {
            skip(&mut reader, length, &mut scratch)?;
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
    }
}

fn skip(reader: &mut impl Read, mut length: usize, scratch: &mut [u8]) -> std::io::Result<()> {
    while length > 0 {
        let some = length.min(scratch.len());
        reader.read_exact(&mut scratch[..some])?;
        length -= some;
    }
    Ok(())
}

fn skip_chunks(reader: &mut impl BufRead, scratch: &mut [u8]) -> std::io::Result<()> {
    loop {
        let mut size = String::new();
        reader.read_line(&mut size)?;
        let length = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        skip(reader, length + 2, scratch)?;
        if length == 0 {
            return Ok(());
        }
    }
}
