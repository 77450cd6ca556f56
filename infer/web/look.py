"""The look of the page: a theme of the system's fonts, and few rules of CSS."""

from gradio.themes import Base, Default

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
"""Fonts of the reader's own system: no others are fetched."""
FIXED_FONTS = ["ui-monospace", "Menlo", "Consolas", "monospace"]

CSS = """
.gradio-container { width: 100%; max-width: 1240px !important; margin: 0 auto !important;
  overflow: clip visible !important; }
.gradio-container .main, .gradio-container main, .tabs, .tabitem { width: 100%; }
input[type=range]::-webkit-slider-thumb { border: 2px solid var(--color-accent) !important; }
input[type=range]::-moz-range-thumb { border: 2px solid var(--color-accent) !important; }
#title h1 { margin: 0; font-size: 1.6rem; }
#title p { margin: .2rem 0 0; color: var(--body-text-color-subdued); }
.status p { margin: .5rem 0; }
.status .html-container { padding: 0 !important; }
.hint { color: var(--body-text-color-subdued); text-align: center; margin: 0 !important;
  padding: 4rem 1rem; border: 1px dashed var(--border-color-primary);
  border-radius: var(--block-radius); background: var(--block-background-fill); }
.status .failure { padding: .75rem 1rem; border-radius: var(--block-radius);
  color: var(--error-text-color); background: var(--error-background-fill);
  border: 1px solid var(--error-border-color); }
progress { display: block; width: 100%; height: .5rem; border: 0; border-radius: 1rem;
  overflow: hidden; appearance: none; background: var(--border-color-primary);
  color: var(--color-accent); }
progress::-webkit-progress-bar { background: var(--border-color-primary); }
progress::-webkit-progress-value { background: var(--color-accent); }
progress::-moz-progress-bar { background: var(--color-accent); }
img.result { display: block; width: 100%; max-height: 62vh; object-fit: contain;
  border-radius: var(--block-radius); margin: .5rem 0; }
a.download { display: block; text-align: center; padding: .6rem 1rem; margin: .5rem 0;
  border-radius: var(--button-large-radius); text-decoration: none; font-weight: 600;
  color: var(--button-secondary-text-color) !important;
  background: var(--button-secondary-background-fill);
  border: 1px solid var(--border-color-primary); }
a.download:hover { background: var(--button-secondary-background-fill-hover); }
.remarks { margin: .5rem 0 !important; padding-left: 1.1rem !important; }
.remarks li { font-size: .85rem; margin: .1rem 0 !important;
  color: var(--body-text-color-subdued) !important; }
/* Options side by side where there is room for two. */
.options .form { display: grid; background: var(--block-background-fill);
  grid-template-columns: repeat(auto-fill, minmax(min(220px, 100%), 1fr)); }
/* Trimming in the browser would fetch a program from another host. */
[aria-label="Trim video to selection"], [aria-label="Reset video to initial value"] {
  display: none !important; }
.presets { gap: .4rem !important; }
@media (min-width: 768px) {
  .editor-results { position: sticky; top: .5rem; align-self: flex-start; }
}
/* On a phone the preview lies above the sliders, and stays while they scroll. */
@media (max-width: 767px) {
  .gradio-container .main { padding: .75rem !important; }
  .editor { flex-direction: column; flex-wrap: nowrap; }
  .editor-sliders, .editor-results { display: contents; }
  .editor-source { order: 1; }
  #edited-preview { order: 2; position: sticky; top: 0; z-index: 100;
    background: var(--body-background-fill); }
  #edited-preview img.result { max-height: 38vh; }
  .editor-options { order: 3; }
  .editor-panel { order: 4; }
  .hint { padding: 2rem 1rem; }
}
"""


def make_theme() -> Base:
    """Return the theme, which fetches nothing."""
    return Default(
        primary_hue="indigo",
        secondary_hue="indigo",
        neutral_hue="slate",
        font=FONTS,
        font_mono=FIXED_FONTS,
    )
