//! Records and limits that the kernel half and the user half share.
#![no_std]
