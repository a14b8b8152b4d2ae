use clap::ValueEnum;

use super::*;

#[test]
fn each_preset_has_what_it_asks() {
    for preset in Preset::value_variants() {
        let is_one = *preset != Preset::None;
        assert_eq!(preset.ready().is_some(), is_one, "{preset:?}");
        let quit = preset.quit().map(|request| request.to_string());
        assert_eq!(quit.is_some_and(|quit| quit.starts_with("POST http://127.0.0.1:")), is_one);
    }
}
