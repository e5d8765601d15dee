//! The static site: page, worker, style, samples. Every URL in it is relative, so that it works at any path.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use wasm_bindgen_cli_support::Bindgen;

use crate::{Result, root, run, server::SymbolServer};

const TARGET: &str = "wasm32-unknown-unknown";

/// Files of `www/` that the site holds as they are; `index.html` is made from the one Trunk uses.
pub(crate) const STATIC_FILES: [&str; 4] = ["boot.js", "worker.js", "style.css", "icon.svg"];

/// A crate that becomes a WebAssembly module, and how it is loaded.
struct Module {
    package: &'static str,
    /// A classic script can be started as a worker everywhere; the page uses a module.
    classic: bool,
}

const MODULES: [Module; 2] =
    [Module { package: "dumplens-ui", classic: false }, Module { package: "dumplens-worker", classic: true }];

/// Builds the site into `out` and returns a table of its sizes. With a server of symbols, the page offers to fetch files
/// from it, and its policy allows that.
pub(crate) fn dist(out: &Path, server: Option<&SymbolServer>) -> Result<String> {
    run::ensure_target(TARGET)?;
    let target = target_folder()?;
    // A fresh folder each time: a stale file in a deployed site is a bug nobody can see.
    let _ = fs::remove_dir_all(out);
    fs::create_dir_all(out).map_err(|error| format!("cannot create {}: {error}", out.display()))?;
    for module in &MODULES {
        println!("building {} for the browser (about a minute the first time)…", module.package);
        // One package at a time: building both together would unify their features.
        run::cargo(&[
            "build",
            "--locked",
            "--quiet",
            "--profile",
            "wasm",
            "--target",
            TARGET,
            "--package",
            module.package,
        ])?;
        bind(module, &target, out)?;
    }
    let www = root().join("www");
    for file in STATIC_FILES {
        fs::copy(www.join(file), out.join(file)).map_err(|error| format!("cannot copy www/{file}: {error}"))?;
    }
    run::copy_folder(&root().join("public/samples"), &out.join("samples"))?;
    fs::write(out.join("index.html"), page(server)?).map_err(|error| format!("cannot write the page: {error}"))?;
    sizes(out)
}

/// The page of the site.
pub(crate) fn page(server: Option<&SymbolServer>) -> Result<String> {
    let page = root().join("www/index.html");
    let page = fs::read_to_string(page).map_err(|error| format!("cannot read www/index.html: {error}"))?;
    let page = page_without_trunk(&page);
    server.map_or(Ok(page.clone()), |server| server.widen(&page))
}

/// Where cargo builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let mut command = std::process::Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
    let text = run::output(command.args(["metadata", "--format-version=1", "--no-deps"]).current_dir(root()))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    let folder = metadata["target_directory"].as_str().ok_or("cargo metadata names no target folder")?;
    Ok(PathBuf::from(folder))
}

/// Builds a crate as WebAssembly for Node; the path of its loader.
pub(crate) fn node_module(package: &str, out: &Path) -> Result<PathBuf> {
    run::ensure_target(TARGET)?;
    let target = target_folder()?;
    run::cargo(&[
        "build",
        "--locked",
        "--quiet",
        "--profile",
        "wasm",
        "--target",
        TARGET,
        "--package",
        package,
        "--lib",
    ])?;
    let wasm = target.join(TARGET).join("wasm").join(format!("{}.wasm", package.replace('-', "_")));
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&wasm).out_name(package).typescript(false);
    bindgen
        .nodejs(true)
        .and_then(|bindgen| bindgen.generate(out))
        .map_err(|error| format!("cannot generate the loader of {package}: {error:#}"))?;
    Ok(out.join(format!("{package}.js")))
}

fn bind(module: &Module, target: &Path, out: &Path) -> Result {
    let wasm = target.join(TARGET).join("wasm").join(format!("{}.wasm", module.package.replace('-', "_")));
    let mut bindgen = Bindgen::new();
    bindgen.input_path(&wasm).out_name(module.package).typescript(false);
    // Names of functions are for debuggers; without them a visitor downloads a quarter less.
    bindgen.remove_producers_section(true).remove_name_section(true);
    let configured = if module.classic { bindgen.no_modules(true) } else { bindgen.web(true) };
    configured
        .and_then(|bindgen| bindgen.generate(out))
        .map_err(|error| format!("cannot generate the loader of {}: {error:#}", module.package))
}

/// The page as served: Trunk's links become plain ones and its script tag takes the names that `bind` gives.
fn page_without_trunk(page: &str) -> String {
    let mut out = String::new();
    for line in page.lines() {
        if line.contains("data-trunk") {
            let tag = match line {
                _ if line.contains("rel=\"css\"") => "  <link rel=\"stylesheet\" href=\"style.css\">",
                _ if line.contains("rel=\"icon\"") => "  <link rel=\"icon\" type=\"image/svg+xml\" href=\"icon.svg\">",
                _ => continue,
            };
            out.push_str(tag);
        } else if line.contains("</head>") {
            out.push_str("  <script type=\"module\" src=\"boot.js\" data-js=\"dumplens-ui.js\" data-wasm=\"dumplens-ui_bg.wasm\"></script>\n");
            out.push_str(line);
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

/// What a visitor downloads, and how much of it travels.
fn sizes(out: &Path) -> Result<String> {
    let mut table = format!("{:<28} {:>10} {:>10}\n", "file", "bytes", "brotli");
    let (mut all, mut packed) = (0, 0);
    let mut names: Vec<_> = fs::read_dir(out)
        .map_err(|error| format!("cannot read {}: {error}", out.display()))?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_file())
        .collect();
    names.sort();
    for path in names {
        let bytes = fs::read(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut compressed = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: 11, ..Default::default() };
        brotli::BrotliCompress(&mut bytes.as_slice(), &mut compressed, &parameters)
            .map_err(|error| format!("cannot compress {}: {error}", path.display()))?;
        all += bytes.len();
        packed += compressed.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let _ = writeln!(table, "{name:<28} {:>10} {:>10}", bytes.len(), compressed.len());
    }
    let _ = writeln!(table, "{:<28} {all:>10} {packed:>10}", "all, without samples");
    Ok(table)
}
