//! Seeds of what reads symbols.

// The writer of tables is that of the reader's own tests.
#[path = "../../isf/tests/common/mod.rs"]
mod tables;

use dumplens_fuzz::Patch;
use dumplens_testkit::pdb::writer;

use super::nothing;

pub(super) fn pdb() -> Vec<Vec<u8>> {
    let rvas: Vec<u8> = [0x1014_u32, 0x1027, 0x1090, 0x12ff].iter().flat_map(|rva| rva.to_le_bytes()).collect();
    let file = writer::sample();
    let mut seeds = vec![[&[1], &*rvas, &file].concat(), [&[0], &*rvas].concat()];
    // Every page of the file but for the two free page maps, in numbers of four bytes and of two.
    for page in (0..file.len() as u32).step_by(512).filter(|page| !(512..1536).contains(page)) {
        for (from, width) in [(page, 4), (page + 0x80, 4), (page, 2), (page + 0x40, 1)] {
            let places = (from..from + 64 * u32::from(width)).step_by(usize::from(width));
            seeds.push([&[0], &*rvas, &nothing(places.take(64), width)].concat());
        }
    }
    // Rearranged: the streams of OMAP records are some that hold other things.
    let last = [&[11, 0][..], &[0xff; 8], &[8, 0]].concat();
    let omap = file.windows(12).position(|bytes| bytes == last).expect("the numbers of further streams") as u32 + 6;
    for streams in [0xffff_000a, 0x0a_ffff, 0x0a_000a, 0x06_0006] {
        let patch = Patch { listed: false, ..Patch::set(omap, 4, streams) }.bytes();
        seeds.push([&[0], &*rvas, &patch, &nothing((0..60).map(|place| place * 4), 4)].concat());
    }
    for name in [
        "?run@Engine@app@@QEAAHPEBD@Z",
        "??$f@V?$A@H@@P6AXPEAH@Z@@YAXPEAV?$A@H@0@Z",
        "??_7Engine@app@@6B@",
        "?a@?1??b@@YAXXZ@4PEAHEA",
        "__imp_?crash@@YAXXZ",
        "??__Ex@@YAXXZ",
        "_ZN4core3fmt5write17h0123456789abcdefE",
        "_RNvMs_NtC6_123foo3barNtB4_3Baz3run",
        "_RINvNtC3std3mem8align_ofjdE",
        "_RNCNvC6_123foo3bar0",
        "_ZN3app6Engine3runEPKc",
        "_ZNSt6vectorIN3app1AESaIS1_EE9push_backERKS1_",
        "_ZN3appIXadL_Z1fvEEE1gIiEEDTcl1hfp_EET_",
        "_Z1fIJidEEvDpT_",
    ] {
        seeds.push([&[2], name.as_bytes()].concat());
    }
    seeds
}

pub(super) fn isf() -> Vec<Vec<u8>> {
    use tables::{SMALL, SMALL_XZ, gzip};
    let dense: String = SMALL.split_whitespace().collect();
    let pdb = r#""GUID":"00112233445566778899AABBCCDDEEFF","age":3,"database":"a.pdb","machine_type":332"#;
    let of = |rest: &str| format!(r#"{{"metadata":{{"format":"6.1.0","windows":{{"pdb":{{{pdb}}}}}}}{rest}}}"#);
    let field = r#"{"offset":0,"type":{"kind":"pointer","subtype":{"kind":"base","name":"void"}}}"#;
    let texts = [
        dense.clone(),
        of(""),
        of(r#","symbols":{"a":{"address":1},"b":{"address":18446744073709551615}}"#),
        of(r#","base_types":{"a":{"kind":"bool","size":1,"signed":false,"endian":"little"}}"#),
        of(r#","enums":{"a":{"base":"int","constants":{"x":1,"y":-1},"size":4}}"#),
        of(&format!(r#","user_types":{{"a":{{"kind":"class","size":8,"fields":{{"f":{field}}}}}}}"#)),
        of(r#","x":[1.5,true,null,"\ud83d\ude00",{"y":[]}]"#),
    ];
    let mut seeds: Vec<Vec<u8>> = texts.iter().map(|text| text.clone().into_bytes()).collect();
    seeds.extend([SMALL.as_bytes().to_vec(), SMALL_XZ.to_vec(), gzip(dense.as_bytes()), gzip(of("").as_bytes())]);
    seeds
}
