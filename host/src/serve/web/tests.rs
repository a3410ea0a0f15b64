//! Web configs that change while they are at work.
