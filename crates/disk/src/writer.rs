//! The thread that changes the database.
