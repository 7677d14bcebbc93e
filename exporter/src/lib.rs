//! nodetally, the library: one scrape from the kernel to the page.
