//! A small encoder of streams that no library writes, from coefficients that are computed. `fixtures/jpeg/grid.py` has its twin.

/// What a stream is to be.
#[derive(Debug, Clone)]
pub(super) struct Wished {
    /// Sampling factors of each component, across and down.
    pub(super) sampling: Vec<(usize, usize)>,
    /// The colour transform of Adobe's segment.
    pub(super) adobe: Option<u8>,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Components of each scan. A progressive stream has those for the first coefficients, then one scan a component.
    pub(super) groups: Vec<Vec<usize>>,
    /// Units between restart marks.
    pub(super) restart: usize,
    pub(super) progressive: bool,
}

/// Value by position, in coded order.
fn coefficients(component: usize, column: usize, row: usize) -> [i32; 64] {
    let n = (7 * column + 13 * row + 29 * component) as i32;
    let mut values = [0; 64];
    values[0] = n * 11 % 81 - 40;
    for (position, most) in [(1, 6), (2, 5), (5, 4), (9, 3), (40, 2)] {
        values[position] = n * (position as i32 + 3) % (2 * most + 1) - most;
    }
    values
}

#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    rest: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u32, count: u32) {
        self.rest = self.rest << count | value;
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.rest >> self.count) as u8;
            self.bytes.push(byte);
            if byte == 0xff {
                self.bytes.push(0);
            }
        }
    }

    /// Every symbol is a code of eight bits that equals it.
    fn value(&mut self, run: u32, value: i32) {
        let size = value
            .unsigned_abs()
            .checked_ilog2()
            .map_or(0, |log| log + 1);
        self.put(run << 4 | size, 8);
        let raw = if value > 0 {
            value
        } else {
            value + (1 << size) - 1
        };
        self.put(raw as u32, size);
    }

    /// All coefficients but the first.
    fn others(&mut self, values: &[i32; 64]) {
        let mut last = 0;
        for position in (1..64).filter(|&position| values[position] != 0) {
            let run = position - last - 1;
            for _ in 0..run / 16 {
                self.put(0xf0, 8);
            }
            self.value(run as u32 % 16, values[position]);
            last = position;
        }
        if last < 63 {
            self.put(0, 8);
        }
    }

    fn fill(&mut self) {
        let left = (8 - self.count % 8) % 8;
        self.put((1 << left) - 1, left);
    }
}

fn segment(bytes: &mut Vec<u8>, mark: u8, body: &[u8]) {
    bytes.extend([0xff, mark]);
    bytes.extend((body.len() as u16 + 2).to_be_bytes());
    bytes.extend(body);
}

/// The stream.
pub(super) fn encode(wished: &Wished) -> Vec<u8> {
    let Wished {
        sampling,
        width,
        height,
        ..
    } = wished;
    let mut bytes = vec![0xff, 0xd8];
    if let Some(transform) = wished.adobe {
        let body = [b"Adobe".as_slice(), &[0, 100, 0, 0, 0, 0, transform]].concat();
        segment(&mut bytes, 0xee, &body);
    }
    segment(&mut bytes, 0xdb, &[&[0][..], &[16; 64]].concat());
    let [h1, h0] = (*height as u16).to_be_bytes();
    let [w1, w0] = (*width as u16).to_be_bytes();
    let mut frame = vec![8, h1, h0, w1, w0, sampling.len() as u8];
    for (number, &(across, down)) in sampling.iter().enumerate() {
        frame.extend([number as u8 + 1, (across << 4 | down) as u8, 0]);
    }
    let mark = if wished.progressive { 0xc2 } else { 0xc0 };
    segment(&mut bytes, mark, &frame);
    for (kind, codes) in [(0x00, 16), (0x10, 255)] {
        let mut table = vec![kind, 0, 0, 0, 0, 0, 0, 0, codes, 0, 0, 0, 0, 0, 0, 0, 0];
        table.extend(0..codes);
        segment(&mut bytes, 0xc4, &table);
    }
    segment(&mut bytes, 0xdd, &[0, wished.restart as u8]);
    let last = if wished.progressive { 0 } else { 63 };
    for group in &wished.groups {
        scan(&mut bytes, wished, group, 0, last);
    }
    if wished.progressive {
        for component in 0..sampling.len() {
            scan(&mut bytes, wished, &[component], 1, 63);
        }
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

fn scan(bytes: &mut Vec<u8>, wished: &Wished, group: &[usize], first: u8, last: u8) {
    let mut header = vec![group.len() as u8];
    for &component in group {
        header.extend([component as u8 + 1, 0]);
    }
    header.extend([first, last, 0]);
    segment(bytes, 0xda, &header);

    let sampling = &wished.sampling;
    let across = sampling.iter().map(|factors| factors.0).max().unwrap();
    let down = sampling.iter().map(|factors| factors.1).max().unwrap();
    let alone = group.len() == 1;
    // Alone, a component comes without the padding to whole units.
    let (wide, high) = if alone {
        let factors = sampling[group[0]];
        (
            (wished.width * factors.0).div_ceil(across).div_ceil(8),
            (wished.height * factors.1).div_ceil(down).div_ceil(8),
        )
    } else {
        (
            wished.width.div_ceil(8 * across),
            wished.height.div_ceil(8 * down),
        )
    };
    let mut bits = Bits::default();
    let mut before = [0; 4];
    for number in 0..wide * high {
        let (row, column) = (number / wide, number % wide);
        if wished.restart > 0 && number > 0 && number.is_multiple_of(wished.restart) {
            bits.fill();
            let mark = (number / wished.restart - 1) % 8;
            bits.bytes.extend([0xff, 0xd0 + mark as u8]);
            before = [0; 4];
        }
        for &component in group {
            let (across, down) = if alone { (1, 1) } else { sampling[component] };
            for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
                let values = coefficients(component, column * across + x, row * down + y);
                if first == 0 {
                    bits.value(0, values[0] - before[component]);
                    before[component] = values[0];
                }
                if last > 0 {
                    bits.others(&values);
                }
            }
        }
    }
    bits.fill();
    bytes.extend(bits.bytes);
}
