//! A form for experts: a stack from registers that stand somewhere in memory.

use dumplens_report::{Hex, protocol::StackOf};
use leptos::prelude::*;

use crate::{app::App, state::route::Route};

#[component]
pub(super) fn Form(of: Memo<StackOf>) -> impl IntoView {
    let app = expect_context::<App>();
    let (address, is_trap) = match of.get_untracked() {
        StackOf::Context { address } => (address.to_string(), false),
        StackOf::TrapFrame { address } => (address.to_string(), true),
        _ => (String::new(), false),
    };
    let (address, is_trap, wrong) = (RwSignal::new(address), RwSignal::new(is_trap), RwSignal::new(false));
    let go = move || match Hex::parse(&address.get_untracked()) {
        Some(address) => {
            wrong.set(false);
            let trap = is_trap.get_untracked();
            app.go(Route::Stack(if trap { StackOf::TrapFrame { address } } else { StackOf::Context { address } }));
        }
        None => wrong.set(true),
    };
    view! {
        <form class="panel at-address" id="at-address" data-testid="at-address-form" on:submit=move |event| { event.prevent_default(); go(); }>
            <div class="tools">
                <label>"At this address stands "
                    <select data-testid="at-address-kind" on:change=move |event| is_trap.set(event_target_value(&event) == "trap")>
                        <option value="context" prop:selected=move || !is_trap.get()>"a register context (CONTEXT, .cxr)"</option>
                        <option value="trap" prop:selected=move || is_trap.get()>"a trap frame (KTRAP_FRAME, .trap)"</option>
                    </select>
                </label>
                <label>"Address "
                    <input class="mono" data-testid="at-address" spellcheck="false" autocomplete="off" prop:value=move || address.get()
                        on:input=move |event| address.set(event_target_value(&event)) aria-invalid=move || wrong.get().to_string()/>
                </label>
                <button type="submit" data-testid="at-address-go">"Walk from there"</button>
                {move || wrong.get().then(|| view! { <span class="warning" role="alert">"An address is hexadecimal, such as fffff804`8b58334c."</span> })}
            </div>
            <p class="dim">
                "Windows saves a register context when it reports an exception, and a trap frame when an interrupt, a fault or a system "
                "call enters the kernel. Give the address of one that you found elsewhere, in a bug check parameter for instance. At a "
                "wrong address you get an error, or a stack that means nothing."
            </p>
        </form>
    }
}
